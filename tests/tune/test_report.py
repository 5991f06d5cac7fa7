"""The report: complete, self-contained and robust against any value."""

import dataclasses
import json
import random
import re

import pytest

from trainer.config.supervised import Supervised
from trainer.tune import report, stored
from trainer.tune.importance import importance
from trainer.tune.layout import Layout
from trainer.tune.outcome import TrialStatus
from trainer.tune.space import Choice, LogUniform, Objective, Search, Uniform, When
from trainer.tune.study import Limits, Study
from trainer.tune.trial import Trial

SPACE = (
    LogUniform("optimizer.learning_rate", 1e-4, 1e-1),
    Choice("optimizer.kind", ("adam", "sgd")),
    Uniform("optimizer.momentum", 0.0, 0.9, When("optimizer.kind", ("sgd",))),
    Uniform("model.dropout", 0.0, 0.5),
)


def study(path, direction="min"):
    search = Search(Objective("eval/loss", direction), SPACE)
    return Study(Layout(path), search, Supervised(), Limits(20))


def trial(number, score=None, status="finished", reason="", **values):
    values = {"optimizer.learning_rate": 1e-2, "optimizer.kind": "adam", **values}
    ended = float(number + 1)
    return Trial(
        f"{number:04d}",
        values,
        1.0,
        "",
        TrialStatus(status),
        score=score,
        reason=reason,
        ended=ended,
    )


def trials(*some):
    return {one.id: one for one in some}


def drawn(page):
    """The data of the charts on a page, in order."""
    contents = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page)
    return [json.loads(content)["data"] for content in contents]


@pytest.mark.parametrize("direction", ["min", "max"])
def test_all_trials_are_listed_best_first(tmp_path, direction):
    made = study(tmp_path, direction)
    made.trials = trials(
        trial(0, 0.5),
        trial(1, 0.25, **{"optimizer.kind": "sgd", "optimizer.momentum": 0.3}),
        trial(2, status="failed", reason="killed by SIGKILL"),
        trial(3, status="running"),
        trial(4, 0.4, status="stopped", reason="below the median"),
    )
    page = report.page(made)
    rows = re.findall(r"<tr[^>]*><td>(\d{4})</td><td>(\w+)</td>", page)
    best = ["0001", "0000"] if direction == "min" else ["0000", "0001"]
    assert rows == [
        *((name, "finished") for name in best),
        ("0004", "stopped"),
        ("0002", "failed"),
        ("0003", "running"),
    ]
    assert f"The best trial is {best[0]}" in page
    assert "killed by SIGKILL" in page
    assert "0.3" in page


def test_shorter_trials_rank_after_longer_ones(tmp_path):
    made = study(tmp_path)
    long = trial(1, 0.5)
    made.trials = trials(dataclasses.replace(trial(0, 0.1), fraction=1 / 3), long)
    assert made.best is long
    assert report.ranking(made)[0] is long
    points, _ = drawn(report.page(made))[0]
    assert len(points["text"]) == 1


def test_baseline_outside_the_space_is_drawn(tmp_path):
    made = study(tmp_path)
    outside = {"optimizer.learning_rate": 1.0, "optimizer.kind": "adamw", "model.dropout": 0.9}
    baseline = dataclasses.replace(trial(0, 0.5, **outside), baseline=True)
    made.trials = trials(baseline, *(trial(number, 0.1 * number) for number in range(1, 9)))
    page = report.page(made)
    assert "the configuration as given" in page
    assert "adamw" in page


def test_values_are_escaped(tmp_path):
    made = study(tmp_path / "<b>&")
    made.trials = trials(trial(0, 0.5), trial(1, status="failed", reason="<script>alert(1)"))
    page = report.page(made)
    assert "<b>" not in page
    assert "<script>alert" not in page


def test_the_page_of_a_stored_search_is_the_same(tmp_path):
    made = study(tmp_path, "max")
    made.trials = trials(
        trial(0, 0.5),
        trial(1, 0.25, **{"optimizer.kind": "sgd", "optimizer.momentum": 0.3}),
        trial(2, status="failed", reason="killed by SIGKILL"),
    )
    made.close()
    assert report.page(stored.read(made.layout)) == report.page(made)


def test_page_exists_before_the_first_trial_ends(tmp_path):
    page = report.page(study(tmp_path))
    assert "none yet" in page


def test_equal_scores_and_outliers_are_drawn(tmp_path):
    for scores in ([0.5] * 9, [0.5, 0.6, 0.55, 0.52, 0.58, 1e30, 0.51, 0.53, 0.57]):
        made = study(tmp_path)
        made.trials = trials(*(trial(number, score) for number, score in enumerate(scores)))
        page = report.page(made)
        points, _ = drawn(page)[0]
        assert len(points["text"]) == 9
        assert "null" not in json.dumps(points)


def test_decisive_dimension_is_the_most_important():
    generator = random.Random(0)
    some = []
    for number in range(30):
        rate = 10 ** generator.uniform(-4, -1)
        values = {"optimizer.learning_rate": rate, "model.dropout": generator.uniform(0, 0.5)}
        some.append(trial(number, 1e9 if rate > 0.05 else rate, **values))
    importances = importance(some, SPACE)
    assert sum(importances.values()) == pytest.approx(1.0)
    assert next(iter(importances)) == "optimizer.learning_rate"
    assert importances["optimizer.learning_rate"] > 0.9
    assert importance(some[:7], SPACE) == {}
