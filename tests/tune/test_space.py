"""Search files: what they may say, and how a value gets to `--config`."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.cli.main import run
from trainer.config import loading
from trainer.config.supervised import Supervised
from trainer.errors import UserError
from trainer.tune import validation
from trainer.tune.space import (
    Bayesian,
    Choice,
    Hyperband,
    Integers,
    LogUniform,
    Objective,
    Random,
    Search,
    Uniform,
    When,
    overrides,
)

ROOT = Path(__file__).parent.parent.parent
ACCURACY = Objective("eval/accuracy", "max")
LEARNING_RATE = LogUniform("optimizer.learning_rate", 1e-4, 1e-1)
KIND = Choice("optimizer.kind", ("adam", "sgd"))


@given(st.floats(min_value=1e-30, max_value=1e30))
def test_a_float_comes_back_exactly(value):
    changed = loading.override(Supervised(), overrides({"optimizer.learning_rate": value}))
    assert changed.optimizer.learning_rate == value


def test_every_kind_of_value_reaches_its_field():
    values = {"model.units": (8, 16), "model.batch_norm": True, "optimizer.kind": "sgd", "seed": 3}
    changed = loading.override(Supervised(), overrides(values))
    assert changed.model.units == (8, 16)
    assert changed.model.batch_norm is True
    assert changed.optimizer.kind == "sgd"
    assert changed.seed == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform("a", 1.0, 1.0), "low must be < high"),
        (lambda: Uniform("a", 0.0, float("inf")), "low must be < high"),
        (lambda: LogUniform("a", 0.0, 1.0), "needs low > 0"),
        (lambda: Integers("a", 1, 2.5), "whole numbers"),
        (lambda: Integers("a", 1, 9, step=0), "step >= 1"),
        (lambda: Choice("a", ()), "a tuple of some"),
        (lambda: Choice("a", (1, 1)), "must differ"),
        (lambda: Objective("eval/loss", "low"), "direction"),
        (lambda: Hyperband(shortest=0), "shortest > 0"),
        (lambda: Hyperband(shortest=1, factor=2.5), "factor >= 2"),
        (lambda: Bayesian(initial=-1), "initial >= 0"),
        (lambda: Search(ACCURACY, ()), "a tuple of dimensions"),
        (lambda: Search(ACCURACY, ("model.dropout",)), "a tuple of dimensions"),
        (lambda: Search("eval/accuracy", (KIND,)), "objective is as in"),
        (lambda: Search(ACCURACY, (KIND,), Random), "oracle is Random()"),
        (lambda: Search(ACCURACY, (KIND,), "random"), "oracle is Random()"),
        (lambda: Search(ACCURACY, (KIND,), executions=2.5), "whole numbers"),
        (lambda: Search(ACCURACY, (KIND,), seed=2**32), "whole numbers"),
        (lambda: Search(ACCURACY, (KIND, KIND)), "twice"),
        (lambda: Search(ACCURACY, (KIND,), executions=0), "executions >= 1"),
        (lambda: Search(ACCURACY, (KIND,), Hyperband(1), median_stopping=2), "Hyperband"),
        (
            lambda: Search(ACCURACY, (Uniform("a", 0, 1, When("optimizer.kind", ("sgd",))), KIND)),
            "comes before it",
        ),
        (
            lambda: Search(ACCURACY, (KIND, Uniform("a", 0, 1, When("optimizer.kind", ("sdg",))))),
            "Did you mean 'sgd'?",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(UserError, match="Received: ") as error:
        make()
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (Search(ACCURACY, (Uniform("optimizer.lr", 0.1, 1),)), "optimizer.lr"),
        (Search(ACCURACY, (Uniform("train.global_batch_size", 32, 64),)), "must be of type int"),
        (Search(ACCURACY, (Uniform("model.dropout", 0.0, 1.0),)), "model.dropout must be"),
        (Search(ACCURACY, (Choice("optimizer.kind", ("adam", "adagrad")),)), "adagrad"),
        (
            Search(ACCURACY, (KIND, Uniform("optimizer.momentum", 0.0, 0.9))),
            "give it when=When('optimizer.kind', (…,))",
        ),
        (
            Search(
                ACCURACY, (KIND, Uniform("optimizer.momentum", 0, 9, When(KIND.path, ("sgd",))))
            ),
            "optimizer.momentum must be",
        ),
        (Search(ACCURACY, (Choice("data.validation_split", ("train",)),)), "compared on"),
        (Search(Objective("test/accuracy", "max"), (LEARNING_RATE,)), "never looks at the test"),
        (Search(Objective("eval/acuracy", "max"), (LEARNING_RATE,)), "Did you mean 'eval/acc"),
        (Search(ACCURACY, (Choice("evaluate.split", ("test",)),)), "the search's to choose"),
        (Search(ACCURACY, (Uniform("data.validation_fraction", 0.1, 0.2),)), "compared on"),
        (Search(ACCURACY, (Choice("seed", (1, 2)),), executions=2), "executions of a trial"),
        (Search(ACCURACY, (Uniform("train.epochs", 1.0, 9.0),), Hyperband(1)), "Hyperband's"),
        (Search(ACCURACY, (LEARNING_RATE,), Hyperband(9.0)), "must be at most train.epochs = 10"),
    ],
)
def test_a_space_that_does_not_fit_is_refused_before_any_trial(search, message):
    with pytest.raises(UserError, match="Received: ") as error:
        validation.check(search, Supervised())
    assert message in str(error.value)


def test_a_condition_makes_a_field_of_one_kind_searchable():
    momentum = Uniform("optimizer.momentum", 0.0, 0.9, When("optimizer.kind", ("sgd",)))
    validation.check(Search(ACCURACY, (KIND, momentum, LEARNING_RATE)), Supervised())


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs" / "tune").glob("*.py")), ids=lambda p: p.stem
)
def test_every_search_here_fits_the_configuration_its_docstring_names(path):
    command = path.read_text().split('"""')[1]
    config = command.split("--config=")[1].split()[0]
    assert f"--search=configs/tune/{path.name}" in command
    validation.check(validation.load(str(path)), loading.load(str(ROOT / config)))


def test_a_shortened_experiment_keeps_a_share_of_its_length():
    assert validation.shortened(Supervised(), 1 / 3).train.epochs == pytest.approx(10 / 3)
    by_steps = loading.override(Supervised(), ["--config.train.steps=100"])
    assert validation.shortened(by_steps, 1 / 3).train.steps == 33


def test_two_searches_that_differ_are_not_equal_as_json():
    one = Search(ACCURACY, (LEARNING_RATE,))
    other = Search(ACCURACY, (Uniform("optimizer.learning_rate", 1e-4, 1e-1),))
    assert one.to_json() != other.to_json()
    assert one.to_json() != Search(ACCURACY, (LEARNING_RATE,), Bayesian(initial=3)).to_json()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--config=configs/digits_cnn.py", "--config.model.kind=linear", "--config.train.steps=40"),
        (
            "--config=configs/cartpole_dqn.py",
            "--config.train.steps=3000",
            "--config.evaluate.episodes=2",
        ),
    ],
    ids=["supervised", "rl"],
)
def test_the_objectives_known_are_what_runs_report(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    workdir = tmp_path / "run"
    assert run(["train", *arguments, f"--workdir={workdir}"]) == 0
    task = json.loads((workdir / "config.json").read_text())["task"]
    reported = set()
    for line in (workdir / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        numbers = {
            name for name, value in record["metrics"].items() if isinstance(value, int | float)
        }
        reported |= {f"{record['split']}/{name}" for name in numbers}
    assert {name for name in reported if not name.startswith("test/")} == set(
        validation.METRICS[task]
    )
