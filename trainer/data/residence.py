"""Whether examples are read into memory once, or from disk for each batch."""

import sys

from trainer.io import memory


def is_on_disk(residence: str, needed: int, what: str, remedy: str = "") -> bool:
    """Whether examples stay on disk; says so on stderr if `auto` decides it.

    Args:
      residence: `data.residence`: memory, disk or auto.
      needed: bytes of the examples in memory.
      what: the user's name for the data.
      remedy: what the user can do besides setting `data.residence`, if memory is set and too small.

    Raises:
      UserError: if memory is set and they do not fit.
    """
    if residence == "memory":
        memory.check_fits(needed, f"set data.residence=disk{remedy}", what)
    if residence != "auto":
        return residence == "disk"
    if memory.fits(needed):
        return False
    print(
        f"{what} needs {needed / 2**30:.1f} GiB of memory, which is more than is usable: "
        "it is read from disk",
        file=sys.stderr,
    )
    return True
