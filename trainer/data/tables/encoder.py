"""From the rows of splits to encoded examples: measures, encodes, and stores them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.config.data import CSV, Parquet
from trainer.data.examples import Encoded
from trainer.data.residence import is_on_disk
from trainer.data.signature import Column
from trainer.data.tables.blocks import TableFile
from trainer.data.tables.columns import from_census, with_medians
from trainer.data.tables.encoding import encode
from trainer.data.tables.rows import Rows, selected_blocks
from trainer.data.tables.stores import DiskStore, MemoryStore, Store
from trainer.data.tables.summary import summary
from trainer.data.tables.types import CATEGORICAL, Census, declared_types, infer
from trainer.errors import UserError

_FLOAT = 4
# The rows of a file, and then those of its splits.
_COPIES = 2
# By position in a file: the row, and why it cannot be encoded.
Wrong = dict[int, tuple[str, str]]


def encode_splits(
    splits: Mapping[str, Rows],
    features: Sequence[str],
    config: CSV | Parquet,
    run_columns: Sequence[Column],
) -> Encoded:
    """The encoded rows of all splits, in memory or on disk.

    Args:
      splits: of one file, or of one each.
      features: names of the feature columns, in the order of the table.
      config: the `data` section.
      run_columns: of a run; empty: they are measured on the split `train`.

    Raises:
      UserError: if a cell does not have the type of its column, a column cannot be used, or there
        is no space.
    """
    skipped: list[tuple[str, str]] = []
    on_disk: bool | None = None
    while True:
        columns, lines = list(run_columns), ""
        if not columns:
            types, censuses = measure(splits["train"], features, config)
            columns = from_census(types, censuses, config.categories, config.min_category_rows)
            lines = summary(types, censuses, len(splits["train"]))
        positions = _positions(splits)
        count = sum(map(len, positions.values()))
        if on_disk is None:
            needed = _COPIES * _FLOAT * count * len(columns)
            on_disk = is_on_disk(config.residence, needed, config.path, ", or use fewer rows")
        stores: dict[TableFile, Store] = {}
        wrong: dict[TableFile, Wrong] = {}
        for table, places in positions.items():
            stores[table] = (
                DiskStore(len(columns)) if on_disk else MemoryStore(len(places), len(columns))
            )
            wrong[table] = _encode(table, places, columns, stores[table], config.on_error == "skip")
        if not any(wrong.values()):
            break
        # What is measured on the training split is measured again without these rows.
        skipped += [row for rows in wrong.values() for row in rows.values()]
        splits = {name: _without(name, rows, wrong[rows.table]) for name, rows in splits.items()}
    found = {
        name: np.searchsorted(positions[rows.table], rows.positions)
        for name, rows in splits.items()
    }
    if not run_columns:
        columns = with_medians(columns, stores[splits["train"].table].rows(), found["train"])
    return Encoded(
        {
            name: stores[rows.table].examples(found[name], rows.targets)
            for name, rows in splits.items()
        },
        tuple(columns),
        tuple(skipped),
        lines,
    )


def measure(
    train: Rows, features: Sequence[str], config: CSV | Parquet
) -> tuple[dict[str, str], dict[str, Census]]:
    """The type of each feature, and what its cells in the training split are.

    Raises:
      UserError: if all cells of a column are missing, a few are of another kind than the rest, or
        there are too many different texts.
    """
    declared = declared_types(config.types, features)
    exact = {name for name, kind in declared.items() if kind == CATEGORICAL}
    censuses = _censuses(train, features, exact)
    if lacking := [name for name, census in censuses.items() if census.lacks_counts]:
        censuses |= _censuses(train, lacking, set(lacking))
    types = {}
    for name in features:
        census = censuses[name]
        if not census.present:
            raise UserError(
                f"{train.table.path}, column {name!r} has no value in the {len(train)} rows of the "
                "training split; exclude it with data.ignore"
            )
        types[name] = declared.get(name) or infer(
            name, census, train.table.where, config.on_error == "skip"
        )
    return types, censuses


def _censuses(train: Rows, names: Sequence[str], exact: set[str]) -> dict[str, Census]:
    censuses = {name: Census(is_categorical=name in exact) for name in names}
    for block in selected_blocks(train.table, names, np.sort(train.positions)):
        for name, census in censuses.items():
            census.add(block.cells[name], block.places)
    return censuses


def _positions(splits: Mapping[str, Rows]) -> dict[TableFile, NDArray[np.int64]]:
    """The positions in each file that a split has, ascending."""
    by_table: dict[TableFile, list[NDArray[np.int64]]] = {}
    for rows in splits.values():
        by_table.setdefault(rows.table, []).append(rows.positions)
    return {table: np.unique(np.concatenate(parts)) for table, parts in by_table.items()}


def _encode(
    table: TableFile,
    positions: NDArray[np.int64],
    columns: Sequence[Column],
    store: Store,
    accept_wrong: bool,
) -> Wrong:
    """Encodes rows into a store; those that cannot be encoded have no meaning there."""
    names = list(dict.fromkeys(column.name for column in columns))
    table.require(names, "the columns of the run")
    result: Wrong = {}
    first = 0
    for block in selected_blocks(table, names, positions):
        rows, wrong = encode(block.cells, columns, len(block.places))
        for each in wrong:
            place = block.places[each.row]
            if not accept_wrong:
                raise UserError(
                    f"{table.where(place, each.column)} {each.expected}; correct it, or declare "
                    f"the type with data.types={each.column}=categorical. "
                    f"Received: {each.received!r}"
                )
            reason = f"column {each.column!r} {each.expected}. Received: {each.received!r}"
            result.setdefault(int(positions[first + each.row]), (table.name(place), reason))
        store.append(rows)
        first += len(rows)
    return result


def _without(split: str, rows: Rows, wrong: Wrong) -> Rows:
    left = rows.select(np.flatnonzero(~np.isin(rows.positions, list(wrong))))
    if not len(left):
        raise UserError(f"no row of the {split} split can be used: {next(iter(wrong.values()))[1]}")
    return left
