"""Checks that data fits into memory before it is allocated."""

import psutil

from trainer.errors import UserError

# The rest is left to the network, the batches and other processes.
_USABLE_FRACTION = 0.8


def check_fits(needed: int, remedy: str, what: str) -> None:
    """Checks that an allocation takes at most 80% of the available memory.

    Args:
      needed: bytes.
      remedy: what the user can do if it does not fit.
      what: the user's name for the data.

    Raises:
      UserError: if it does not fit; the message has both sizes.
    """
    usable = int(psutil.virtual_memory().available * _USABLE_FRACTION)
    if needed > usable:
        raise UserError(
            f"{what} needs {needed / 2**30:.1f} GiB of memory, but only {usable / 2**30:.1f} GiB "
            f"are usable; {remedy}"
        )
