import numpy as np

from trainer.supervised.evaluate import Evaluated
from trainer.supervised.evaluation_text import text


def evaluated(matrix, classes):
    metrics = {"accuracy": 0.5, "f1_per_class": [1.0], "confusion_matrix": matrix.tolist()}
    return Evaluated(1, metrics, {"accuracy": (0.4, 0.6)}, classes)


def test_a_small_matrix_is_shown_whole():
    lines = text(evaluated(np.array([[30.0, 2], [4, 50]]), ("cat", "dog"))).splitlines()
    assert lines[1].split() == ["accuracy", "0.5", "0.4", "–", "0.6"]
    assert [line.split() for line in lines[-3:]] == [
        ["class", "cat", "dog"],
        ["cat", "30", "2"],
        ["dog", "4", "50"],
    ]


def test_of_many_classes_the_most_confused_pairs_are_shown():
    matrix = np.eye(100) * 50
    matrix[3, 7], matrix[7, 3], matrix[20, 21] = 9, 4, 6
    classes = tuple(f"a class with a long name, number {number}" for number in range(100))
    lines = text(evaluated(matrix, classes)).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[-1] for line in lines[-3:]] == ["9", "6", "4"]
