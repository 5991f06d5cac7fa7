"""Exceptions that the command line turns into an exit status.

Any other exception is a bug in trainer: Python prints its traceback and exits with 1.
"""

import difflib
from collections.abc import Iterable

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 75


class UserError(Exception):
    """The user's input is wrong: one line on stderr, no traceback, exit status 2.

    The message is one line and names the remedy. It ends in "Received: …" if it does not show
    the received value otherwise.
    """


class Interrupted(Exception):
    """A signal or a preemption stopped the run and its state is saved: exit status 75."""


# More names do not fit on a line.
_MOST_LISTED = 24


def unknown_name(what: str, name: object, known: Iterable[str]) -> UserError:
    """The error for a `name` that is not among the `known`, with the nearest as a suggestion.

    If many are known, only the most similar ones are listed.
    """
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = known
    if len(known) > _MOST_LISTED:
        listed = difflib.get_close_matches(str(name), known, n=_MOST_LISTED // 2, cutoff=0.0)
    more = f" and {len(known) - len(listed)} more" if len(listed) < len(known) else ""
    return UserError(f"unknown {what}.{hint} Known: {', '.join(listed)}{more}. Received: {name!r}")
