"""Held-out examples, selected by a keyed hash of their own content."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trainer.data.examples import Examples
from trainer.errors import UserError


def hold_out(
    splits: Mapping[str, Examples], seed: int, validation_fraction: float, test_fraction: float
) -> dict[str, Examples]:
    """Takes the splits that the source does not have from `train`.

    The content of an example decides its split: equal examples are never in two splits, the
    order of the examples does not matter, and more data moves no example that was there
    before. The sizes are therefore approximately the requested fractions.

    Args:
      splits: `train`, and `validation` or `test` where the source has them.
      seed: selects which examples are held out.
      validation_fraction: fraction of `train`; 0 makes no such split.
      test_fraction: fraction of `train`.

    Raises:
      UserError: if a requested split is empty.
    """
    train = splits["train"]
    place = content_hash(train, seed)
    taken = np.zeros(len(train), bool)
    result = dict(splits)
    threshold = 0.0
    for name, fraction in (("test", test_fraction), ("validation", validation_fraction)):
        if name in splits or not fraction:
            continue
        chosen = (place >= threshold) & (place < threshold + fraction)
        result[name] = train.select(np.flatnonzero(chosen))
        taken |= chosen
        threshold += fraction
    result["train"] = train.select(np.flatnonzero(~taken))
    for name, split in result.items():
        if not len(split):
            raise UserError(
                f"the {name} split is empty: there are too few examples to hold some out; provide "
                f"more, or change the fractions. Received: {len(train)} examples"
            )
    return result


def content_hash(examples: Examples, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) per example, a function of its stored features and the seed.

    Returns:
      float64 `[N]`.
    """
    key = str(seed).encode()
    digests = b"".join(
        hashlib.blake2b(example.tobytes(), digest_size=8, key=key).digest()
        for chunk in examples.chunks()
        for example in chunk
    )
    # A float64 below 1 holds 53 bits exactly.
    return (np.frombuffer(digests, "<u8") >> np.uint64(11)) / float(2**53)
