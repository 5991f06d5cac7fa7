"""The error for a name that stands for nothing: it lists the known and the nearest."""

import difflib
from collections.abc import Iterable

from trainer.errors import UserError

# More names than this are a page, not a line.
_MOST_LISTED = 24


def unknown_name(what: str, name: object, known: Iterable[str]) -> UserError:
    """Returns the error for a `name` that is not among the `known`, nearest first.

    Where many are known, only those most like the name are listed.
    """
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = known
    if len(known) > _MOST_LISTED:
        listed = difflib.get_close_matches(str(name), known, n=_MOST_LISTED // 2, cutoff=0.0)
    more = f" and {len(known) - len(listed)} more" if len(listed) < len(known) else ""
    return UserError(f"unknown {what}.{hint} Known: {', '.join(listed)}{more}. Received: {name!r}")
