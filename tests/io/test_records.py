import math

from trainer.io import records
from trainer.io.records import Record

RECORDS = [
    Record(1, "train", 5.0, {"loss": 3.0}),
    Record(1, "eval", 6.0, {"loss": 2.0, "accuracy": 0.1}),
    Record(2, "eval", 7.0, {"accuracy": 0.5}),
    Record(3, "eval", 8.0, {"loss": 1.0, "confusion": [1, 2]}),
]


def test_appended_and_replaced_records_are_read_back(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert records.read_records(path) == []
    for record in RECORDS:
        records.append_record(path, record)
    assert records.read_records(str(path)) == RECORDS
    records.write_records(path, RECORDS[:2])
    assert records.read_records(path) == RECORDS[:2]


def test_truncated_last_line_is_ignored(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(records.format_line(RECORDS[0]) + '{"step": 9, "spl')
    assert records.read_records(path) == RECORDS[:1]


def test_value_that_is_not_finite_is_null(tmp_path):
    path = tmp_path / "metrics.jsonl"
    records.append_record(path, Record(4, "eval", 0.0, {"loss": math.nan, "parts": (math.inf, 1)}))
    assert "NaN" not in path.read_text()
    (record,) = records.read_records(path)
    assert record.metrics == {"loss": None, "parts": [None, 1]}


def test_curve_has_the_finite_values_of_one_metric():
    diverged = Record(4, "eval", 0.0, {"loss": math.nan})
    assert records.curve([*RECORDS, diverged], "eval/loss") == [(1, 2.0), (3, 1.0)]
    assert records.curve(RECORDS, "test/loss") == []


def test_a_curve_never_runs_backwards():
    rows = [Record(step, "eval", 0.0, {"loss": value}) for step, value in ((10, 3.0), (20, 1.0))]
    # The final evaluation of the best checkpoint.
    rows += [Record(10, "eval", 0.0, {"loss": 3.0}), Record(30, "test", 0.0, {"loss": 2.0})]
    assert records.curve(rows, "eval/loss") == [(10, 3.0), (20, 1.0)]
    assert records.parse_line('{"step": 1, "split": "eval", "metrics": null}') is None
