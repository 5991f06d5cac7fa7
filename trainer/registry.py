"""The error for a name that stands for nothing: it lists the known and the nearest."""

import difflib
from collections.abc import Iterable

from trainer.errors import UserError


def unknown_name(what: str, name: object, known: Iterable[str]) -> UserError:
    """Returns the error for a `name` that is not among the `known`, nearest first."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UserError(f"unknown {what}.{hint} Known: {', '.join(known)}. Received: {name!r}")
