"""From the `data` section of a table to its source."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from trainer.config.data import CSV, Parquet
from trainer.data.examples import Encoded, Examples, Source
from trainer.data.signature import MULTI_LABEL, REGRESSION, Column
from trainer.data.tables import cells
from trainer.data.tables.blocks import TableFile
from trainer.data.tables.encoder import encode_splits
from trainer.data.tables.reading import open_table
from trainer.data.tables.rows import Rows, Scan, scan
from trainer.data.tables.types import declared_types
from trainer.data.targets import Targets, parse_targets
from trainer.errors import UserError

# Of float32, in which the network computes.
_LARGEST = float(np.finfo(np.float32).max)


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
            raise UserError(
                f"{each.path} has no row that can be used: {skipped[0] if skipped else ''}"
            )
    classes, target, values = _targets(config, names, scans)
    splits = {
        name: Rows(table, scans[table].positions, scans[table].digests, values[name])
        for name, table in names.items()
    }

    def encode(held_out: dict[str, Examples], columns: Sequence[Column]) -> Encoded:
        rows = cast(dict[str, Rows], held_out)
        names = list(dict.fromkeys(column.name for column in columns))
        # The splits depend on all of them.
        if names and set(names) != set(features):
            raise UserError(
                f"the table has the columns {', '.join(features)}, but the run has the columns "
                f"{', '.join(names)}; restore them, or train in another directory"
            )
        encoded = encode_splits(rows, features, config, columns)
        if left_out := len(skipped or ()) + len(encoded.skipped):
            print(
                f"{config.path}: {left_out} rows that cannot be read were left out "
                "(data.on_error=skip)",
                file=sys.stderr,
            )
        return encoded

    train = scans[table]
    return Source(
        splits,
        classes,
        target=target,
        encode=encode,
        groups=train.groups if config.group else None,
        times=train.times if config.time else None,
        skipped=tuple(skipped or ()),
    )


def _problem(config: CSV | Parquet) -> Callable[[str], str]:
    """What is wrong with a target cell that can be judged on its own."""
    may_be_empty = config.target == MULTI_LABEL and not config.labels

    def problem(text: str) -> str:
        if config.target == REGRESSION:
            value = None if cells.is_missing(text) else cells.number(text)
            is_finite = value is not None and abs(value) <= _LARGEST
            return "" if is_finite else "must be a finite number"
        # Other texts for a missing cell, such as none, may be names of classes.
        return "" if text or may_be_empty else "must not be empty"

    return problem


def _targets(
    config: CSV | Parquet, names: Mapping[str, TableFile], scans: Mapping[TableFile, Scan]
) -> tuple[tuple[str, ...], str, dict[str, NDArray[Any]]]:
    """Class names, the kind of target, and the targets of each split.

    Raises:
      UserError: if they are not what `data.target` says, or the training table lacks a class.
    """
    columns = config.labels or (config.label,)
    found: dict[str, Targets] = {}
    for split, table in names.items():
        rows = scans[table]

        def where(row: int, table: TableFile = table, rows: Scan = rows) -> str:
            return table.where(int(rows.places[row]))

        train = found.get("train")
        found[split] = parse_targets(
            {name: rows.targets[name] for name in columns},
            train.kind if train else config.target,
            config.label_separator,
            where,
            train.classes if train else (),
        )
    train = found["train"]
    return train.classes, train.kind, {split: each.values for split, each in found.items()}
