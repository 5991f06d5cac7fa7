"""What the command line turns into an exit status.

Every other exception is a fault of ours: it keeps its traceback and exits with 1.
"""

import difflib
from collections.abc import Iterable

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 75


class UserError(Exception):
    """The user's input is wrong: one line on stderr, no traceback, exit status 2.

    The message is one line, names the remedy and ends in "Received: …" where a value
    was given.
    """


class Interrupted(Exception):
    """A signal or a preemption ended the run with its state saved: exit status 75."""


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
