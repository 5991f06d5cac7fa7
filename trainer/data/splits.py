"""Held-out examples, selected by a keyed hash of their content or group, or by time."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from trainer.data.examples import Examples, Source
from trainer.data.signature import CLASSIFICATION
from trainer.errors import UserError


def hold_out(
    source: Source,
    seed: int,
    validation_fraction: float,
    test_fraction: float,
    stratify: bool = False,
) -> dict[str, Examples]:
    """Takes the splits that the source does not have from `train`.

    The content of an example decides its split: equal examples are never in two splits, the
    order of the examples does not matter, and more data moves no example that was there
    before. The sizes are therefore approximately the requested fractions. With groups, the group
    decides instead of the content. With times, the last examples are held out; those of one time
    are in one split.

    Args:
      source: with the split `train`, and `validation` or `test` where it has them.
      seed: selects which examples are held out.
      validation_fraction: fraction of `train`; 0 makes no such split.
      test_fraction: fraction of `train`.
      stratify: hold out this fraction of each class, not of all examples.

    Raises:
      UserError: if a requested split is empty, or the classes of `stratify` are none.
    """
    train = source.splits["train"]
    place = _places(source, seed)
    if stratify:
        if source.target != CLASSIFICATION:
            raise UserError(f"data.stratify needs classes. Received: a {source.target} target")
        if source.groups is not None or source.times is not None:
            raise UserError("data.stratify cannot be combined with data.group or data.time")
        place = _shares_within_classes(place, train.targets)
    taken = np.zeros(len(train), bool)
    result = dict(source.splits)
    threshold = 0.0
    for name, fraction in (("test", test_fraction), ("validation", validation_fraction)):
        if name in source.splits or not fraction:
            continue
        chosen = (place >= threshold) & (place < threshold + fraction)
        result[name] = train.select(np.flatnonzero(chosen))
        taken |= chosen
        threshold += fraction
    if taken.any():
        result["train"] = train.select(np.flatnonzero(~taken))
    for name, split in result.items():
        if not len(split):
            raise UserError(
                f"the {name} split is empty: there are too few examples to hold some out; provide "
                f"more, or change the fractions. Received: {len(train)} examples"
            )
    return result


def _places(source: Source, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) per training example; the smallest ones are held out first."""
    if source.times is not None:
        ordered = np.sort(source.times)
        later = len(ordered) - np.searchsorted(ordered, source.times, side="right")
        return later / len(ordered)
    if source.groups is not None:
        return _hashes(source.groups, seed)
    return content_hash(source.splits["train"], seed)


def _shares_within_classes(
    place: NDArray[np.float64], classes: NDArray[np.int32]
) -> NDArray[np.float64]:
    """The share of an example's class that has a smaller place."""
    shares = np.empty_like(place)
    for number in np.unique(classes):
        of_class = classes == number
        ordered = np.sort(place[of_class])
        shares[of_class] = np.searchsorted(ordered, place[of_class]) / len(ordered)
    return shares


def content_hash(examples: Examples, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) per example, a function of its stored features and the seed.

    Returns:
      float64 `[N]`.
    """
    return _hashes(examples.identities(), seed)


def _hashes(identities: Iterable[bytes], seed: int) -> NDArray[np.float64]:
    key = str(seed).encode()
    digests = b"".join(
        hashlib.blake2b(identity, digest_size=8, key=key).digest() for identity in identities
    )
    # A float64 below 1 holds 53 bits exactly.
    return (np.frombuffer(digests, "<u8") >> np.uint64(11)) / float(2**53)
