"""From the cells of a table to stored rows, in TensorFlow operations alone.

`trainer.data.tables.encoding` does the same in Python, for training and `trainer predict`.
"""

import keyword
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from trainer.compat.keras import tf
from trainer.data.signature import Column
from trainer.data.tables.cells import FALSE, MISSING, TRUE
from trainer.data.tables.encoding import EXPECTED, PARTS

# ISO 8601 in its extended form; the groups are year, month, day, hour, minute, second, fraction,
# and hours and minutes of the offset.
_DATE = (
    r"^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r" ?(?:Z|[+-](\d\d)(?::?(\d\d))?)?)?$"
)
_DAYS_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_DAYS_OF_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def input_names(columns: Sequence[Column]) -> dict[str, str]:
    """The name of each column's input in a signature, by the name of the column.

    TensorFlow takes Python's identifiers only, so that other characters become `_`.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for column in dict.fromkeys(each.name for each in columns):
        name = re.sub(r"[^0-9A-Za-z_]", "_", column)
        if not name[0].isalpha() or keyword.iskeyword(name) or name == "self":
            name = f"column_{name}"
        # TensorFlow does not tell lower from upper case here.
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        names[column] = name
    return names


def input_specs(columns: Sequence[Column]) -> dict[str, tf.TensorSpec]:
    """The input `[B]` of each column by the column's name: float32 if numeric, else a string."""
    names = input_names(columns)
    return {
        each.name: tf.TensorSpec(
            [None], tf.float32 if each.type == "numeric" else tf.string, names[each.name]
        )
        for each in columns
    }


class CellEncoder(tf.Module):
    """Encodes cells as `encoding.encode` does, with the categories of a run."""

    def __init__(self, columns: Sequence[Column]):
        """Creates a lookup table for each categorical column."""
        super().__init__()
        self._columns = tuple(columns)
        self._categories = {
            str(place): _lookup(column.categories)
            for place, column in enumerate(columns)
            if column.type == "categorical"
        }

    def __call__(self, cells: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Stored rows float32 `[B, columns]`; a missing cell is NaN.

        Args:
          cells: of each column by its name, `[B]`: a number, NaN if it is missing; or a string,
            missing if it is empty, NA, N/A, NaN, null, None or ?.

        Raises:
          tf.errors.InvalidArgumentError: when run, if a cell does not have the type of its column.
        """
        return tf.stack(
            [self._encode(place, cells[each.name]) for place, each in enumerate(self._columns)],
            axis=1,
        )

    def _encode(self, place: int, cells: tf.Tensor) -> tf.Tensor:
        column = self._columns[place]
        if column.type == "numeric":
            return _checked(cells, cells, column)
        texts = tf.strings.strip(cells)
        is_missing = _is_among(tf.strings.lower(texts), MISSING)
        if column.type == "categorical":
            numbers = tf.cast(self._categories[str(place)].lookup(texts), tf.float32)
            return tf.where(is_missing, float("nan"), numbers)
        values = _booleans(texts) if column.type == "boolean" else date_part(texts, column.part)
        return _checked(tf.where(is_missing, float("nan"), values), cells, column)


def _lookup(categories: Sequence[str]) -> tf.lookup.StaticHashTable:
    # A table of no keys cannot be created; no cell equals this one, since cells are stripped.
    keys = tf.constant([*categories, " "])
    numbers = tf.constant([*range(1, len(categories) + 1), 0], tf.int64)
    return tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(keys, numbers), default_value=0
    )


def _checked(values: tf.Tensor, cells: tf.Tensor, column: Column) -> tf.Tensor:
    """The values, of which an infinite one stands for a wrong cell."""
    is_wrong = tf.math.is_inf(values)
    check = tf.debugging.Assert(
        ~tf.reduce_any(is_wrong),
        [f"column {column.name!r} {EXPECTED[column.type]}. Received:", cells[is_wrong]],
    )
    with tf.control_dependencies([check]):
        # -0 becomes 0, as in stored rows.
        return values + 0.0


def _is_among(texts: tf.Tensor, words: Iterable[str]) -> tf.Tensor:
    return tf.reduce_any(texts[:, tf.newaxis] == tf.constant(sorted(words)), axis=1)


def _booleans(texts: tf.Tensor) -> tf.Tensor:
    lower = tf.strings.lower(texts)
    is_true = _is_among(lower, (*TRUE, "1"))
    is_false = _is_among(lower, (*FALSE, "0"))
    return tf.where(is_true, 1.0, tf.where(is_false, 0.0, float("inf")))


def date_part(texts: tf.Tensor, part: str) -> tf.Tensor:
    """A part of dates, float32 `[B]`, as `encoding.PARTS` names them; infinite if it is no date."""
    is_date = tf.strings.regex_full_match(texts, _DATE)
    safe = tf.where(is_date, texts, "2000-01-01")

    def group(number: int, prefix: str = "0") -> tf.Tensor:
        digits = tf.strings.regex_replace(safe, _DATE, rf"{prefix}\{number}")
        return tf.strings.to_number(digits, tf.float64)

    year, month, day, hour, minute, second = map(group, range(1, 7))
    offset = 60 * group(8) + group(9)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    february = tf.where(leap & (month == 2), 1.0, 0.0)
    place = tf.cast(tf.clip_by_value(month, 1, 12), tf.int32) - 1
    days = tf.gather(tf.constant(_DAYS_OF_MONTH, tf.float64), place)
    is_valid = is_date & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    is_valid &= day <= days + tf.cast(february, tf.float64)
    is_valid &= (hour < 24) & (minute < 60) & (second < 60) & (offset < 24 * 60)
    # The numbers of 29 February and later days count the day of this year.
    before = tf.gather(tf.constant(_DAYS_BEFORE_MONTH, tf.float64), place)
    before += tf.where(leap & (month > 2), tf.constant(1.0, tf.float64), 0.0)
    past = year - 1
    ordinal = 365 * past + past // 4 - past // 100 + past // 400 + before + day
    parts: dict[str, Callable[[], tf.Tensor]] = {
        "year": lambda: year,
        "month": lambda: month,
        "day": lambda: day,
        # 1 January of year 1 was a Monday, weekday 0.
        "weekday": lambda: (ordinal - 1) % 7,
        "hour": lambda: hour + minute / 60 + (second + group(7, "0.")) / 3600,
    }
    assert set(parts) == set(PARTS), "every part of a date is computed"
    return tf.where(is_valid, tf.cast(parts[part](), tf.float32), float("inf"))
