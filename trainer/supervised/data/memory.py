"""Whether a data set fits into memory, asked before it is read."""

import math
from collections.abc import Iterable

import psutil

from trainer.errors import UserError

# The rest is for the network, the batches and everybody else.
_USABLE_SHARE = 0.8
# While a source is cut into its splits, and again while TensorFlow has its own.
_COPIES = 2


def check_images_fit(examples: int, shape: Iterable[int], what: str) -> None:
    """Refuses uint8 images that would take more than most of the memory available.

    Raises:
      UserError: naming both sizes; `what` names the data set.
    """
    check_fits(_COPIES * examples * math.prod(shape), "take a smaller data.image_size", what)


def check_fits(needed: int, remedy: str, what: str) -> None:
    """Refuses what would take more than most of the memory available.

    Args:
      needed: bytes.
      remedy: what the user can do.
      what: names the data set.

    Raises:
      UserError: naming both sizes.
    """
    usable = int(psutil.virtual_memory().available * _USABLE_SHARE)
    if needed > usable:
        raise UserError(
            f"the data need {needed / 2**30:.1f} GiB of memory and {usable / 2**30:.1f} GiB may be "
            f"used; {remedy}. Received: {what}"
        )
