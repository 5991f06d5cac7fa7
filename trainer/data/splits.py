"""Held-out examples, chosen by a keyed hash of their own content."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.examples import Split
from trainer.errors import UserError


def hold_out(
    splits: Mapping[str, Split], seed: int, validation_fraction: float, test_fraction: float
) -> dict[str, Split]:
    """Takes from `train` the splits that the source did not bring.

    Each example's content decides where it falls: equal examples are never on both sides,
    the order does not matter, and more data moves no old example. The sizes are therefore
    approximately the fractions asked for.

    Args:
      splits: `train`, and `validation` or `test` where the source has them.
      seed: another one holds out others.
      validation_fraction: share of `train`; 0 makes no such split.
      test_fraction: share of `train`.

    Raises:
      UserError: if a split that was asked for comes out empty.
    """
    train = splits["train"]
    place = content_hash(train.features, seed)
    taken = np.zeros(len(place), bool)
    made = dict(splits)
    threshold = 0.0
    for name, fraction in (("test", test_fraction), ("validation", validation_fraction)):
        if name in splits or not fraction:
            continue
        chosen = (place >= threshold) & (place < threshold + fraction)
        made[name] = train.select(chosen)
        taken |= chosen
        threshold += fraction
    made["train"] = train.select(~taken)
    for name, split in made.items():
        if not len(split.labels):
            raise UserError(
                f"the {name} split is empty: there are too few examples to hold some out; give "
                f"more, or other fractions. Received: {len(train.labels)} examples"
            )
    return made


def content_hash(features: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each example, a function of its bytes and the seed alone.

    Args:
      features: `[N, ...]`.
      seed: keys the hash.

    Returns:
      float64 `[N]`.
    """
    key = str(seed).encode()
    digests = b"".join(
        hashlib.blake2b(example.tobytes(), digest_size=8, key=key).digest() for example in features
    )
    # 53 bits are what a float64 below 1 can hold exactly.
    return (np.frombuffer(digests, "<u8") >> np.uint64(11)) / float(2**53)
