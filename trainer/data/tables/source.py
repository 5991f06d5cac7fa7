"""From the `data` section of a table to its source."""

import sys
from collections.abc import Callable, Sequence
from typing import cast

from trainer.config.data import CSV, Parquet
from trainer.data.examples import Encoded, Examples, Source
from trainer.data.signature import MULTI_LABEL, REGRESSION, Column
from trainer.data.tables import cells
from trainer.data.tables.blocks import TableFile
from trainer.data.tables.encoder import encode_splits
from trainer.data.tables.reading import open_table
from trainer.data.tables.rows import Rows, Scan, scan
from trainer.data.tables.types import declared_types
from trainer.data.targets import parse_targets
from trainer.errors import UserError


def load_table(config: CSV | Parquet) -> Source:
    """Reads `path` and, if given, `test_path` once: hashes of the features, and the targets.

    Raises:
      UserError: if a file or a column is missing, a row cannot be read, or the targets are not
        what `data.target` says.
    """
    if not config.path:
        raise UserError("data.path is required: the file with the training examples")
    table = open_table(config.path, config)
    targets = config.labels or (config.label,)
    table.require(targets, "data.labels" if config.labels else "data.label")
    table.require(config.ignore, "data.ignore")
    extra = {"data.group": config.group, "data.time": config.time}
    for setting, name in extra.items():
        table.require([name] if name else [], setting)
    others = {*targets, *config.ignore, *extra.values()}
    features = [name for name in table.header if name not in others]
    if not features:
        raise UserError(
            f"{config.path} must have a column besides the targets and those of data.ignore, "
            f"data.group and data.time. Received: {', '.join(table.header)}"
        )
    declared_types(config.types, features)

    skipped: list[tuple[str, str]] | None = [] if config.on_error == "skip" else None
    problem = _problem(config)
    scans = {table: scan(table, features, targets, problem, skipped, config.group, config.time)}
    names = {"train": table}
    if config.test_path:
        names["test"] = open_table(config.test_path, config)
        names["test"].require([*features, *targets], "data.path")
        scans[names["test"]] = scan(names["test"], features, targets, problem, skipped)
    for each, rows in scans.items():
        if not len(rows.positions):
            raise UserError(f"{each.path} has no row that can be used: {(skipped or [('', '')])[0]}")
    return Source()
