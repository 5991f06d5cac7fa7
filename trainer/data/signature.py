"""What a run must know of its data for prediction without the data, and to know them again."""

import dataclasses
from collections.abc import Mapping
from typing import Any

CLASSIFICATION = "classification"
MULTI_LABEL = "multi_label"
REGRESSION = "regression"


@dataclasses.dataclass(frozen=True)
class Contents:
    """What tells whether a split has changed.

    Attributes:
      split: its name.
      examples: how many there are.
      sha256: digest of their features and targets in order.
    """

    split: str
    examples: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table and how its cells become numbers, all measured on the training split.

    Attributes:
      name: header.
      type: numeric, categorical, boolean or date.
      part: of a date: year, month, day, weekday or hour; there is a column for each.
      fill: the stored number that replaces a missing cell: the median, or the number of the most
        frequent category.
      has_indicator: whether the network has an input that is 1 for a missing cell.
      categories: of a categorical column, in the order of their numbers 1, 2, …; 0 is every other
        value.
      embedding: dimensions of the vector that the network learns for each category; 0: one-hot.
    """

    name: str
    type: str = "numeric"
    part: str = ""
    fill: float = 0.0
    has_indicator: bool = False
    categories: tuple[str, ...] = ()
    embedding: int = 0


@dataclasses.dataclass(frozen=True)
class Signature:
    """Shapes, targets, columns and scaling of a data set.

    The network's input is (f(x) − offset) · scale of a stored example x, where f expands the
    columns of a table, see `trainer.data.tables.features`, and does nothing to images.

    Attributes:
      kind: image or table.
      stored_shape: shape of an example as stored, `(H, W, C)` or `(columns,)`.
      input_shape: shape of the network's input, `(H, W, C)` or `(F,)`.
      classes: names of the classes, in the order of their numbers; of the labels of a multi-label
        target; of the values of a regression.
      columns: of a table's features; empty for images.
      offset: per channel or input.
      scale: per channel or input.
      splits: the contents of the splits that training uses; empty until it does.
      target: classification, multi_label or regression.
      target_offset: of a regression, the mean of each value in the training split.
      target_scale: of a regression, 1 / standard deviation of each value.
      thresholds: the probability from which the second class, or each label, is predicted; empty:
        the most probable class, or labels from 0.5.
    """

    kind: str
    stored_shape: tuple[int, ...]
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    splits: tuple[Contents, ...] = ()
    target: str = CLASSIFICATION
    target_offset: tuple[float, ...] = ()
    target_scale: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()

    @property
    def embeddings(self) -> tuple[tuple[int, int], ...]:
        """Numbers of categories, `other` included, and dimensions of the embedded columns.

        Their category numbers are the last inputs of the network.
        """
        return tuple((1 + len(c.categories), c.embedding) for c in self.columns if c.embedding)

    def to_json(self) -> dict[str, Any]:
        """The content of signature.json."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> "Signature":
        """The signature of a signature.json; floats are restored exactly."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in mapping.items()
        }
        # Runs of an earlier version have no digests, and numeric columns without missing cells, by
        # name. They fill new ones with the mean.
        values["splits"] = tuple(Contents(**split) for split in mapping.get("splits", ()))
        values["columns"] = tuple(
            Column(each, fill=offset)
            if isinstance(each, str)
            else Column(**{**each, "categories": tuple(each["categories"])})
            for each, offset in zip(mapping["columns"], mapping["offset"], strict=False)
        )
        return cls(**values)
