"""`parquet`: a table in a Parquet file."""

from trainer.config.data import Parquet
from trainer.data.examples import Source
from trainer.data.tables.source import load_table


def load(config: Parquet, data_dir: str) -> Source:
    """Reads `path` and, if given, `test_path`; see `trainer.data.tables`.

    Raises:
      UserError: if a file or a column is missing, or a value cannot be read.
    """
    del data_dir
    return load_table(config)
