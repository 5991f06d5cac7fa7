"""`csv`: a table in a text file."""

from trainer.config.data import CSV
from trainer.data.examples import Source
from trainer.data.tables.source import load_table


def load(config: CSV, data_dir: str) -> Source:
    """Reads `path` and, if given, `test_path`; see `trainer.data.tables`.

    Raises:
      UserError: if a file or a column is missing, or a cell cannot be read.
    """
    del data_dir
    return load_table(config)
