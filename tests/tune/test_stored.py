"""A search that is read again is the search that was written."""

import json

import pytest

from trainer.tune.space import (
    Bayesian,
    Choice,
    Grid,
    Hyperband,
    Integers,
    LogUniform,
    Objective,
    Random,
    Search,
    Uniform,
    When,
    search_from_json,
)

SPACE = (
    Choice("model.units", ((8,), (8, 8))),
    Choice("optimizer.kind", ("adam", "sgd")),
    LogUniform("optimizer.learning_rate", 1e-4, 1e-1),
    Integers("train.epochs", 1, 9, 2),
    Uniform("optimizer.momentum", 0.0, 0.9, When("optimizer.kind", ("sgd",))),
    Uniform("model.dropout", 0.0, 0.9, When("model.units", ((8, 8),))),
)


@pytest.mark.parametrize(
    "oracle", [Random(), Grid(), Bayesian(3, 1.5), Hyperband(2.0, 4)], ids=lambda each: str(each)
)
def test_every_setting_is_restored(oracle):
    search = Search(Objective("eval/loss"), SPACE, oracle, seed=3, executions=2)
    assert search_from_json(json.loads(json.dumps(search.to_json()))) == search
