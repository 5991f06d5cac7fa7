"""What the text of a cell means: a missing value, a number, a date, or true and false."""

import datetime
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
TRUE = frozenset({"true", "yes", "t", "y"})
FALSE = frozenset({"false", "no", "f", "n"})
# ISO 8601, in its extended form. Digits alone, as in 20240131, are a number.
_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)? ?(Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)


def is_missing(cell: str) -> bool:
    """Whether a cell is empty, or NA, N/A, NaN, null, None or ?, in any case."""
    return len(cell) <= 4 and cell.lower() in MISSING


def number(cell: str) -> float | None:
    """The number in a cell, which may be infinite; None if it is none."""
    # Python's float also accepts 1_000, which is a code in a user's table.
    if "_" in cell:
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def numbers(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """The numbers float64 `[N]` of cells, NaN for NaN; None if one cell is no number.

    Faster than a call of `number` per cell.
    """
    try:
        values = np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        return None
    return None if any("_" in cell for cell in cells) else values


def boolean(cell: str) -> bool | None:
    """True for true, yes, t and y, False for false, no, f and n, in any case; else None."""
    lower = cell.lower()
    return True if lower in TRUE else False if lower in FALSE else None


def date(cell: str) -> datetime.datetime | None:
    """The date and time of an ISO 8601 cell; None if it is none.

    The result has a time zone if the cell has one.
    """
    found = _DATE.fullmatch(cell)
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        return datetime.datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0").ljust(6, "0")[:6]),
            _zone(zone),
        )
    except ValueError:
        return None


def _zone(text: str | None) -> datetime.timezone | None:
    if text is None:
        return None
    if text == "Z":
        return datetime.timezone.utc
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return datetime.timezone(offset if text[0] == "+" else -offset)


def seconds(moment: datetime.datetime) -> float:
    """Seconds since 1970; a moment without a time zone is taken as UTC."""
    zone = moment.tzinfo or datetime.timezone.utc
    return moment.replace(tzinfo=zone).timestamp()


def hours(moment: datetime.datetime) -> float:
    """The time of day in hours, with its fraction."""
    return moment.hour + moment.minute / 60 + (moment.second + moment.microsecond / 1e6) / 3600
