"""The objective by step, its final value, and the median rule."""

import json

import pytest

from trainer.tune.median_stopping import final_value, read_curve, stopping_value
from trainer.tune.space import Objective

MAX, MIN = Objective("eval/accuracy", "max"), Objective("eval/loss", "min")


def write(workdir, *records, result=None):
    lines = [json.dumps({"step": s, "split": split, "metrics": m}) for s, split, m in records]
    (workdir / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 9, "spl')
    (workdir / "result.json").write_text(json.dumps({"metrics": result or {}}))


def test_curve_contains_one_metric_of_one_split(tmp_path):
    assert read_curve(tmp_path, "eval/loss") == []
    write(
        tmp_path,
        (1, "train", {"loss": 3.0}),
        (1, "eval", {"loss": 2.0, "accuracy": 0.1}),
        (2, "eval", {"loss": None}),
        (3, "eval", {"loss": 1.0}),
    )
    assert read_curve(tmp_path, "eval/loss") == [(1, 2.0), (3, 1.0)]


def test_result_takes_precedence_over_the_last_report(tmp_path):
    write(tmp_path, (3, "eval", {"loss": 1.0}), result={"eval/loss": 0.5})
    assert final_value(tmp_path, "eval/loss") == 0.5
    write(tmp_path, (3, "train", {"loss": 1.0}), result={"eval/loss": 0.5})
    assert final_value(tmp_path, "train/loss") == 1.0
    assert final_value(tmp_path, "eval/accuracy") is None


@pytest.mark.parametrize(("objective", "sign"), [(MAX, 1), (MIN, -1)])
def test_trial_worse_than_the_median_of_means_is_stopped(objective, sign):
    others = [[(1, sign * 0.2), (2, sign * 0.6)], [(1, sign * 0.3), (2, sign * 0.7)], []]
    # Means by step 1: 0.2 and 0.3; by step 2: 0.4 and 0.5.
    assert stopping_value([(1, sign * 0.26)], others, objective) is None
    assert stopping_value([(1, sign * 0.24)], others, objective) == sign * 0.24
    assert stopping_value([(1, sign * 0.3), (2, sign * 0.1)], others, objective) == sign * 0.3
    assert stopping_value([(1, sign * 0.46), (2, sign * 0.1)], others, objective) is None
    assert stopping_value([(1, sign * 0.1)], [], objective) is None
