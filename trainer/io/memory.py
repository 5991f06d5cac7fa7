"""Whether something fits into memory, asked before it is made."""

import psutil

from trainer.errors import UserError

# The rest is for the network, the batches and everybody else.
_USABLE_SHARE = 0.8


def check_fits(needed: int, remedy: str, what: str) -> None:
    """Refuses what would take more than most of the memory available.

    Args:
      needed: bytes.
      remedy: what the user can do.
      what: names it, as the user did.

    Raises:
      UserError: naming both sizes.
    """
    usable = int(psutil.virtual_memory().available * _USABLE_SHARE)
    if needed > usable:
        raise UserError(
            f"{needed / 2**30:.1f} GiB of memory are needed and {usable / 2**30:.1f} GiB may be "
            f"used; {remedy}. Received: {what}"
        )
