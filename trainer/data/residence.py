"""Whether examples are in memory or read from disk during training."""

import sys

from trainer.io.memory import check_fits, fits


def is_on_disk(
    residence: str, needed: int, what: str, remedy: str = "set data.residence=disk"
) -> bool:
    """Whether examples are read from disk for each batch; says so if the user did not choose it.

    Args:
      residence: auto, memory or disk, see `data.residence`.
      needed: bytes that the examples take in memory.
      what: the user's name for the data.
      remedy: what the user can do if they do not fit.

    Raises:
      UserError: if residence is memory and they do not fit.
    """
    if residence == "memory":
        check_fits(needed, remedy, what)
    if residence != "auto":
        return residence == "disk"
    if fits(needed):
        return False
    print(f"{what} does not fit into memory and is read from disk", file=sys.stderr)
    return True
