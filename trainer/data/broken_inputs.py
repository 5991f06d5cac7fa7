"""Inputs that cannot be used: they end the command, or are left out."""

import sys
from collections.abc import Sequence

from trainer.errors import UserError


def fail_or_skip(on_error: str, skipped: list[tuple[str, str]], name: str, reason: str) -> None:
    """Appends a broken input to `skipped`, with the reason.

    Raises:
      UserError: with the reason, if `data.on_error` is fail.
    """
    if on_error == "fail":
        raise UserError(f"{reason}; data.on_error=skip leaves it out")
    skipped.append((name, reason))


def report_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """Says how many inputs are left out, if any, and names the first."""
    if skipped:
        print(
            f"broken inputs left out: {len(skipped)}; the first: {skipped[0][1]}",
            file=sys.stderr,
        )
