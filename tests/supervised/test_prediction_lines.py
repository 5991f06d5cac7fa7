import csv
import json

import pytest

from trainer.data.signature import Signature
from trainer.supervised.prediction_lines import lines


def signature(target, classes):
    return Signature("table", (1,), (1,), classes, (), (0.0,), (1.0,), target=target)


CASES = {
    "classes": (
        signature("classification", ("a, b", "file")),
        {"class": "file", "probability": 0.75, "probabilities": {"a, b": 0.25, "file": 0.75}},
        ["file", "class", "probability", "probability_a, b", "probability_file"],
        ["x,1.png", "file", "0.75", "0.25", "0.75"],
    ),
    "labels": (
        signature("multi_label", ("a", "b")),
        {"labels": ["a", "b"], "probabilities": {"a": 0.5, "b": 0.9}},
        ["file", "labels", "probability_a", "probability_b"],
        ["x,1.png", "a;b", "0.5", "0.9"],
    ),
    "no label": (
        signature("multi_label", ("a", "b")),
        {"labels": [], "probabilities": {"a": 0.5, "b": 0.9}},
        ["file", "labels", "probability_a", "probability_b"],
        ["x,1.png", "", "0.5", "0.9"],
    ),
    "a value": (
        signature("regression", ("price",)),
        {"value": 1.5},
        ["file", "value"],
        ["x,1.png", "1.5"],
    ),
    "values": (
        signature("regression", ("w", "h")),
        {"values": {"w": 1.0, "h": 2.0}},
        ["file", "value_w", "value_h"],
        ["x,1.png", "1.0", "2.0"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_lines(name):
    of, prediction, header, row = CASES[name]
    first, line = lines("csv", of)
    assert list(csv.reader([first, line("x,1.png", prediction)])) == [header, row]
    first, line = lines("jsonl", of)
    assert first == ""
    assert json.loads(line("x,1.png", prediction)) == {"file": "x,1.png", **prediction}
