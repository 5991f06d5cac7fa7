"""Predictions as lines of text: JSON, or CSV with a header."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.data.signature import CLASSIFICATION, MULTI_LABEL, Signature

FORMATS = ("jsonl", "csv")
_SEPARATOR = ";"

# From the name of an input and its prediction, see `trainer.supervised.targets.describe`.
Line = Callable[[str, Mapping[str, Any]], str]


def lines(form: str, signature: Signature) -> tuple[str, Line]:
    """The header, empty for JSON, and the function that makes the line of a prediction.

    CSV has the columns `file`, then `class`, `probability` and `probability_CLASS` for each class;
    or `labels`, joined by semicolons, and `probability_LABEL` for each label; or `value`, or
    `value_NAME` for each of several values.

    Args:
      form: one of `FORMATS`.
      signature: of the run.
    """
    if form == "jsonl":
        return "", _json_line
    return _csv_line(_header(signature)), _row


def _json_line(name: str, prediction: Mapping[str, Any]) -> str:
    return json.dumps({"file": name, **prediction}) + "\n"


def _header(signature: Signature) -> list[str]:
    names = signature.classes
    if signature.target == CLASSIFICATION:
        return ["file", "class", "probability", *(f"probability_{name}" for name in names)]
    if signature.target == MULTI_LABEL:
        return ["file", "labels", *(f"probability_{name}" for name in names)]
    return ["file", *(("value",) if len(names) == 1 else (f"value_{name}" for name in names))]


def _row(name: str, prediction: Mapping[str, Any]) -> str:
    # The name of a file need not be UTF-8.
    cells: list[Any] = [name.encode("utf-8", "backslashreplace").decode()]
    for value in prediction.values():
        if isinstance(value, Mapping):
            cells += value.values()
        else:
            cells.append(_SEPARATOR.join(value) if isinstance(value, list) else value)
    return _csv_line(cells)


def _csv_line(cells: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
