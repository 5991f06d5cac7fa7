"""Whether a data set fits into memory, asked before it is read."""

import math

import psutil

from trainer.errors import UserError

# The rest is for the network, the batches and everybody else.
_USABLE_SHARE = 0.6


def check_fits(examples: int, shape: tuple[int, ...], what: str) -> None:
    """Refuses uint8 images that would take more than most of the memory available.

    Raises:
      UserError: naming both sizes; `what` names the data set.
    """
    needed = examples * math.prod(shape)
    available = int(psutil.virtual_memory().available * _USABLE_SHARE)
    if needed > available:
        raise UserError(
            f"{what} needs {needed / 2**30:.1f} GiB of memory and {available / 2**30:.1f} GiB may "
            f"be used; take a smaller data.image_size. Received: {examples} images of {shape}"
        )
