"""What the command line turns into an exit status.

Every other exception is a fault of ours: it keeps its traceback and exits with 1.
"""

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 75


class UserError(Exception):
    """The user's input is wrong: one line on stderr, no traceback, exit status 2.

    The message is one line, names the remedy and ends in "Received: …" where a value
    was given.
    """


class Interrupted(Exception):
    """A signal or a preemption ended the run with its state saved: exit status 75."""
