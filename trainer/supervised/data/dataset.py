"""Plain data: examples, their splits, and what prediction must know of them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Split:
    """Examples and their classes.

    Attributes:
      features: uint8 images `[N, H, W, C]` or float32 rows `[N, F]`, as stored.
      labels: int32 `[N]`, each in [0, classes).
    """

    features: NDArray[Any]
    labels: NDArray[np.int32]

    def select(self, chosen: NDArray[np.bool_]) -> "Split":
        """The examples where `chosen`, bool `[N]`, is true."""
        return Split(self.features[chosen], self.labels[chosen])


@dataclasses.dataclass(frozen=True)
class Signature:
    """All that prediction needs of a data set, without the data.

    A network sees (x − offset) · scale.

    Attributes:
      kind: image or table.
      shape: of one example, `(H, W, C)` or `(F,)`.
      classes: their names, in the order of the labels.
      columns: the headers of a table's features; empty for images.
      offset: by channel or column.
      scale: by channel or column.
    """

    kind: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """The content of signature.json."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> "Signature":
        """The signature of a signature.json; floats come back exactly."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in mapping.items()
        }
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The splits `train`, `test` and, unless it is empty, `validation`."""

    splits: Mapping[str, Split]
    signature: Signature


@dataclasses.dataclass(frozen=True)
class Source:
    """What a source has read, before examples are held out and scaled.

    Attributes:
      splits: as the source brings them; `train` at least.
      classes: names of the classes, in the order of the labels.
      columns: headers of a table's features; empty for images.
    """

    splits: Mapping[str, Split]
    classes: tuple[str, ...]
    columns: tuple[str, ...] = ()
