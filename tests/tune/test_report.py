"""The report: everything in one file, and nothing that a value could break."""

import dataclasses
import random
import re
from html.parser import HTMLParser

import pytest

from trainer.config.supervised import Supervised
from trainer.tune import report
from trainer.tune.files import Layout
from trainer.tune.importance import importance
from trainer.tune.space import Choice, LogUniform, Objective, Search, Uniform, When
from trainer.tune.study import Study, Trial

SPACE = (
    LogUniform("optimizer.learning_rate", 1e-4, 1e-1),
    Choice("optimizer.kind", ("adam", "sgd")),
    Uniform("optimizer.momentum", 0.0, 0.9, When("optimizer.kind", ("sgd",))),
    Uniform("model.dropout", 0.0, 0.5),
)


class Structure(HTMLParser):
    """Refuses an element that is closed by another's tag."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def study(path, direction="min"):
    return Study(Layout(path), Search(Objective("eval/loss", direction), SPACE), Supervised(), 20)


def trial(number, score=None, status="finished", reason="", **values):
    values = {"optimizer.learning_rate": 1e-2, "optimizer.kind": "adam", **values}
    ended = float(number + 1)
    return Trial(f"{number:04d}", values, 1.0, "", status, score=score, reason=reason, ended=ended)


def trials(*some):
    return {one.id: one for one in some}


def parsed(page):
    structure = Structure()
    structure.feed(page)
    assert structure.open == []
    return structure


@pytest.mark.parametrize("direction", ["min", "max"])
def test_the_best_is_first_and_every_trial_is_there(tmp_path, direction):
    made = study(tmp_path, direction)
    made.trials = trials(
        trial(0, 0.5),
        trial(1, 0.25, **{"optimizer.kind": "sgd", "optimizer.momentum": 0.3}),
        trial(2, status="failed", reason="killed by SIGKILL"),
        trial(3, status="running"),
        trial(4, 0.4, status="stopped", reason="below the median"),
    )
    page = report.page(made)
    parsed(page)
    rows = re.findall(r'<tr class="[^"]*"><td>(\d{4})</td><td>(\w+)</td>', page)
    best = ["0001", "0000"] if direction == "min" else ["0000", "0001"]
    assert rows == [
        *((name, "finished") for name in best),
        ("0004", "stopped"),
        ("0002", "failed"),
        ("0003", "running"),
    ]
    assert f"The best is trial {best[0]}" in page
    assert "killed by SIGKILL" in page
    assert "0.3" in page


def test_of_equals_the_longest_is_first_as_it_is_the_best(tmp_path):
    made = study(tmp_path)
    long = trial(1, 0.5)
    made.trials = trials(dataclasses.replace(trial(0, 0.5), share=1 / 3), long)
    assert made.best is long
    assert report.ranking(made)[0] is long


def test_it_needs_nothing_from_elsewhere_and_no_value_is_markup(tmp_path):
    made = study(tmp_path / "<b>&")
    made.trials = trials(trial(0, 0.5), trial(1, status="failed", reason="<script>alert(1)"))
    page = report.page(made)
    structure = parsed(page)
    assert not [tag for tag, attributes in structure.seen if {"src", "href"} & set(attributes)]
    assert "script" not in [tag for tag, _ in structure.seen]
    assert "http" not in page


def test_there_is_a_page_before_the_first_end(tmp_path):
    page = report.page(study(tmp_path))
    parsed(page)
    assert "none yet" in page


def test_equal_and_wild_scores_are_drawn(tmp_path):
    for scores in ([0.5] * 9, [0.5, 0.6, 0.55, 0.52, 0.58, 1e30, 0.51, 0.53, 0.57]):
        made = study(tmp_path)
        made.trials = trials(*(trial(number, score) for number, score in enumerate(scores)))
        page = report.page(made)
        parsed(page)
        assert "nan" not in page
        assert page.count("<circle") == 9


def test_what_decides_the_score_matters_most():
    generator = random.Random(0)
    some = []
    for number in range(30):
        rate = 10 ** generator.uniform(-4, -1)
        values = {"optimizer.learning_rate": rate, "model.dropout": generator.uniform(0, 0.5)}
        some.append(trial(number, 1e9 if rate > 0.05 else rate, **values))
    shares = importance(some, SPACE)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert next(iter(shares)) == "optimizer.learning_rate"
    assert shares["optimizer.learning_rate"] > 0.9
    assert importance(some[:7], SPACE) == {}
