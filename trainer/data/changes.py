"""Whether the data are still those that a run began with, and how a run uses others."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.examples import Dataset, Examples
from trainer.data.signature import CLASSIFICATION, Contents, Signature
from trainer.errors import UserError, unknown_name


def contents(split: str, examples: Examples) -> Contents:
    """The number of examples, and the digest of all of them in order."""
    return Contents(split, len(examples), examples.digest())


def with_contents(dataset: Dataset) -> Dataset:
    """The data set with the contents of its splits in the signature."""
    splits = tuple(contents(name, examples) for name, examples in dataset.splits.items())
    signature = dataclasses.replace(dataset.signature, splits=splits)
    return dataclasses.replace(dataset, signature=signature)


def differences(old: Sequence[Contents], new: Sequence[Contents]) -> list[str]:
    """How the splits of the data differ from those of a run; empty if they are equal.

    Args:
      old: the splits when the run began.
      new: the splits now.
    """
    before, now = ({each.split: each for each in splits} for splits in (old, new))
    found = []
    for name in sorted(before | now):
        absent = Contents(name, 0, "")
        had, has = before.get(name, absent), now.get(name, absent)
        if has.examples != had.examples:
            found.append(f"{name} has {has.examples} examples, and had {had.examples}")
        elif has != had:
            found.append(f"{name} has {has.examples} examples with other contents or another order")
    return found


def adopt(dataset: Dataset, signature: Signature) -> Dataset:
    """The data set with the scaling, the classes and the class numbers of a run.

    Args:
      dataset: what the run's data are now; a table is encoded with the run's columns already.
      signature: of the run.

    Raises:
      UserError: if an example has another shape, other columns or another target than the run's,
        or a class is new.
    """
    now = dataset.signature
    names, run_names = ([column.name for column in each.columns] for each in (now, signature))
    if names != run_names:
        raise UserError(
            f"the table has the columns {', '.join(names)}, but the run has the columns "
            f"{', '.join(run_names)}; restore them, or train in another directory"
        )
    if now.stored_shape != signature.stored_shape:
        raise UserError(
            f"the examples have the shape {now.stored_shape}, but the run has the shape "
            f"{signature.stored_shape}; restore them, or train in another directory"
        )
    if now.target != signature.target:
        raise UserError(
            f"the target is {now.target}, but the run's is {signature.target}; restore the data, "
            "or train in another directory"
        )
    if now.target != CLASSIFICATION and now.classes != signature.classes:
        raise UserError(
            f"the targets are {', '.join(now.classes)}, but the run has "
            f"{', '.join(signature.classes)}; restore them, or train in another directory"
        )
    for name in now.classes:
        if name not in signature.classes:
            raise UserError(
                f"the run has no class {name!r}, and its network cannot get one: its classes are "
                f"{', '.join(signature.classes)}; remove these examples, or train in another "
                "directory"
            )
    splits = _renumbered(dataset, signature.classes)
    return dataclasses.replace(dataset, splits=splits, signature=signature)


def with_positive_class(dataset: Dataset, name: str) -> Dataset:
    """The data set in which a class is the second of two; unchanged if the name is empty.

    Raises:
      UserError: if there are not two classes, or none has that name.
    """
    signature = dataset.signature
    if not name:
        return dataset
    if signature.target != CLASSIFICATION or len(signature.classes) != 2:
        raise UserError(
            f"data.positive_class needs two classes. Received: {signature.target} with "
            f"{len(signature.classes)} outputs"
        )
    if name not in signature.classes:
        raise unknown_name("data.positive_class", name, signature.classes)
    (other,) = (each for each in signature.classes if each != name)
    splits = _renumbered(dataset, (other, name))
    signature = dataclasses.replace(signature, classes=(other, name))
    return dataclasses.replace(dataset, splits=splits, signature=signature)


def _renumbered(dataset: Dataset, classes: Sequence[str]) -> Mapping[str, Examples]:
    """The splits with the class numbers of another list of classes, which has all of theirs."""
    now = dataset.signature.classes
    if now == tuple(classes):
        return dataset.splits
    numbers = np.array([classes.index(name) for name in now], np.int32)
    return {name: _Renumbered(split, numbers) for name, split in dataset.splits.items()}


class _Renumbered(Examples):
    """Examples whose class numbers are those of another list of classes."""

    def __init__(self, examples: Examples, numbers: NDArray[np.int32]):
        """Takes int32 `[classes]`: the new number of each class."""
        self._examples = examples
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._examples)

    def at(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the base class."""
        features, targets = self._examples.at(positions)
        return features, tf.gather(tf.constant(self._numbers), targets)

    @property
    def targets(self) -> NDArray[np.int32]:
        """See the base class."""
        return self._numbers[self._examples.targets]

    def identities(self) -> Iterator[bytes]:
        """See the base class."""
        return self._examples.identities()

    def digest(self, targets: NDArray[Any] | None = None) -> str:
        """See the base class."""
        return self._examples.digest(self.targets if targets is None else targets)

    def changed_files(self) -> list[str]:
        """See the base class."""
        return self._examples.changed_files()

    def select(self, positions: NDArray[np.int64]) -> "_Renumbered":
        """See the base class."""
        return _Renumbered(self._examples.select(positions), self._numbers)
