"""Opens a table by its format."""

from trainer.config.data import CSV, Parquet
from trainer.data.tables.blocks import TableFile, opened
from trainer.data.tables.csv_file import CSVFile
from trainer.data.tables.parquet_file import ParquetFile

_PARQUET = b"PAR1"


def open_table(path: str, config: CSV | Parquet) -> TableFile:
    """A table of the format of a `data` section.

    Raises:
      UserError: if it cannot be read, or has another format.
    """
    if isinstance(config, Parquet):
        return ParquetFile(path)
    return CSVFile(path, config.delimiter, config.encoding)


def open_any_table(path: str, config: CSV | Parquet) -> TableFile:
    """A table of the format that its first bytes show; CSV as in the `data` section if it is one.

    Raises:
      UserError: if it cannot be read.
    """
    with opened(path) as file:
        is_parquet = file.read(len(_PARQUET)) == _PARQUET
    if is_parquet:
        return ParquetFile(path)
    return open_table(path, config if isinstance(config, CSV) else CSV())
