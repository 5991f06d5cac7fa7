"""The types of a table's columns: declared, or inferred from the cells of the training split."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from trainer.data.tables import cells
from trainer.errors import UserError, unknown_name

NUMERIC, CATEGORICAL, BOOLEAN, DATE = "numeric", "categorical", "boolean", "date"
TYPES = (NUMERIC, CATEGORICAL, BOOLEAN, DATE)
# A column in which at least this share is numbers, or dates, was meant to have nothing else.
_MEANT = 0.9
# Texts of which there are more than this, and more than half as many as rows, are no categories:
# names, free text and identifiers.
_MOST_CATEGORIES = 100
# The distinct cells of a column that has so many, all of them numbers or all dates, are not kept.
_MOST_COUNTED = 1000
# The distinct cells of any other column are kept up to this number.
_MOST_KEPT = 1_000_000


@dataclasses.dataclass
class Census:
    """What the cells of a column of the training split are.

    Attributes:
      is_categorical: it is one whatever its cells are, so that all of them are counted.
      missing: number of missing cells.
      present: number of other cells.
      numbers: number of cells that are numbers.
      dates: number of cells that are dates.
      counts: how often each cell occurs, without missing ones; None: there are too many.
      has_many_texts: whether not all of the many different cells were numbers, or dates.
      example: the first cell that is not missing.
      no_number: place and text of the first cell that is neither a number nor missing.
      no_date: place and text of the first cell that is neither a date nor missing.
      has_times: whether a date has a time of day that is not 0:00.
    """

    is_categorical: bool = False
    missing: int = 0
    present: int = 0
    numbers: int = 0
    dates: int = 0
    counts: Counter[str] | None = dataclasses.field(default_factory=Counter)
    has_many_texts: bool = False
    example: str = ""
    no_number: tuple[int, str] | None = None
    no_date: tuple[int, str] | None = None
    has_times: bool = False

    def add(self, texts: Sequence[str], places: Sequence[int]) -> None:
        """Counts cells, each with its place in the file."""
        if self.counts is None and (values := cells.numbers(texts)) is not None:
            missing = int(np.isnan(values).sum())
            self.missing += missing
            self.present += len(texts) - missing
            self.numbers += len(texts) - missing
            return
        for text, count in Counter(texts).items():
            if cells.is_missing(text):
                self.missing += count
                continue
            self.example = self.example or text
            self.present += count
            is_number = cells.number(text) is not None
            moment = None if is_number else cells.date(text)
            if is_number:
                self.numbers += count
            elif self.no_number is None:
                self.no_number = places[texts.index(text)], text
            if moment:
                self.dates += count
                self.has_times = self.has_times or cells.hours(moment) > 0
            elif self.no_date is None:
                self.no_date = places[texts.index(text)], text
            if self.counts is not None:
                self.counts[text] += count
        if self.counts is None or self.is_categorical:
            return
        if len(self.counts) > (_MOST_COUNTED if self.is_measured else _MOST_KEPT):
            self.has_many_texts = not self.is_measured
            self.counts = None

    @property
    def is_measured(self) -> bool:
        """Whether all cells are numbers, or all are dates."""
        return self.present in (self.numbers, self.dates)

    @property
    def lacks_counts(self) -> bool:
        """Whether the counts were dropped because all cells were numbers or dates until then."""
        return self.counts is None and not self.has_many_texts and not self.is_measured

    @property
    def distinct(self) -> str:
        """The number of different cells, or that there are many."""
        return f"> {_MOST_COUNTED}" if self.counts is None else str(len(self.counts))


def declared_types(settings: Sequence[str], features: Sequence[str]) -> Mapping[str, str]:
    """The types of `data.types` by column.

    Raises:
      UserError: if a setting is not COLUMN=TYPE, with a feature and one of the types.
    """
    types = {}
    for setting in settings:
        column, separator, kind = setting.rpartition("=")
        if not separator:
            raise UserError(
                f"data.types must have the form COLUMN=TYPE, where TYPE is one of "
                f"{', '.join(TYPES)}. Received: {setting!r}"
            )
        if column not in features:
            raise unknown_name("feature in data.types", column, features)
        if kind not in TYPES:
            raise unknown_name(f"type of column {column!r} in data.types", kind, TYPES)
        types[column] = kind
    return types


def infer(
    column: str, census: Census, where: Callable[[int, str], str], accept_broken: bool
) -> str:
    """The type of a column that is not declared.

    It is numeric, boolean or a date if every cell that is not missing is one. Booleans of one
    value only are categorical: it may be a code such as F.

    Args:
      column: its name.
      census: of its cells.
      where: names a place of the file and a column.
      accept_broken: whether a few cells of another kind are left out later.

    Raises:
      UserError: if a few cells are of another kind than the rest, or there are too many different
        texts.
    """
    if census.numbers == census.present:
        return NUMERIC
    if {cells.boolean(text) for text in census.counts or ("",)} == {False, True}:
        return BOOLEAN
    if census.dates == census.present:
        return DATE
    for kind, share, other in (
        (NUMERIC, census.numbers, census.no_number),
        (DATE, census.dates, census.no_date),
    ):
        if share < _MEANT * census.present:
            continue
        if accept_broken:
            return kind
        place, text = other or _NO_CELL
        raise UserError(
            f"{where(place, column)} must be a {_NOUNS[kind]}, as most cells of the column are; "
            f"correct it, or declare the type with data.types={column}=categorical. "
            f"Received: {shortened(text)!r}"
        )
    place, text = census.no_number or _NO_CELL
    distinct = len(census.counts or ())
    if census.has_many_texts or distinct > max(_MOST_CATEGORIES, census.present / 2):
        many = f"more than {_MOST_KEPT}" if census.has_many_texts else distinct
        raise UserError(
            f"{where(place, column)} is one of {many} different texts in "
            f"{census.present} rows, too many for categories; exclude the column with data.ignore, "
            f"or declare the type with data.types={column}=categorical. "
            f"Received: {shortened(text)!r}"
        )
    return CATEGORICAL


# Of a column in which every cell is of the kind that is looked for.
_NO_CELL = (0, "")
_NOUNS = {NUMERIC: "number", DATE: "date"}


def shortened(text: str, most: int = 40) -> str:
    """The beginning of a text, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
