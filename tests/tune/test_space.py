"""Search files: valid and invalid elements, and how values are applied."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import (
    Adam,
    CosineSchedule,
    ReinforcementLearning,
    Supervised,
    Train,
    loading,
)
from trainer.config.overrides import apply, parse
from trainer.errors import UserError
from trainer.optim.schedules import LearningRate
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
    to_text,
)

ROOT = Path(__file__).parent.parent.parent
ACCURACY = Objective("eval/accuracy", "max")
LEARNING_RATE = LogUniform("optimizer.learning_rate", 1e-4, 1e-1)
KIND = Choice("optimizer.kind", ("adam", "sgd"))


@given(st.floats(min_value=1e-30, max_value=1e30))
def test_float_as_text_is_exact(value):
    arguments = [f"--config.optimizer.learning_rate={to_text(value)}"]
    changed = apply(Supervised(), parse(arguments))
    assert changed.optimizer.learning_rate == value


@pytest.mark.parametrize("convert", [lambda value: value, to_text], ids=["value", "text"])
def test_every_type_of_value_is_applied(convert):
    values = {"model.units": (8, 16), "model.batch_norm": True, "optimizer.kind": "sgd", "seed": 3}
    changed = apply(Supervised(), {path: convert(value) for path, value in values.items()})
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
        (lambda: Integers("a", 1, 2.5), "integers"),
        (lambda: Integers("a", 1, 9, step=0), "step must be >= 1"),
        (lambda: Choice("a", ()), "a non-empty tuple"),
        (lambda: Choice("a", (1, 1)), "must be distinct"),
        (lambda: Objective("eval/loss", "low"), "direction"),
        (lambda: Hyperband(shortest=0), "shortest > 0"),
        (lambda: Hyperband(shortest=1, factor=2.5), "factor >= 2"),
        (lambda: Bayesian(initial=-1), "initial >= 0"),
        (lambda: Search(ACCURACY, ()), "a tuple of dimensions"),
        (lambda: Search(ACCURACY, ("model.dropout",)), "a tuple of dimensions"),
        (lambda: Search("eval/accuracy", (KIND,)), "objective must be an Objective"),
        (lambda: Search(ACCURACY, (KIND,), Random), "oracle must be Random()"),
        (lambda: Search(ACCURACY, (KIND,), "random"), "oracle must be Random()"),
        (lambda: Search(ACCURACY, (KIND,), executions=2.5), "integers"),
        (lambda: Search(ACCURACY, (KIND,), seed=2**32), "integers"),
        (lambda: Search(ACCURACY, (KIND, KIND)), "must not occur twice"),
        (lambda: Search(ACCURACY, (KIND,), executions=0), "executions >= 1"),
        (lambda: Search(ACCURACY, (KIND,), Hyperband(1), median_stopping=2), "Hyperband"),
        (
            lambda: Search(ACCURACY, (Uniform("a", 0, 1, When("optimizer.kind", ("sgd",))), KIND)),
            "must name a Choice before it",
        ),
        (
            lambda: Search(ACCURACY, (KIND, Uniform("a", 0, 1, When("optimizer.kind", ("sdg",))))),
            "Did you mean 'sgd'?",
        ),
    ],
)
def test_invalid_element_is_rejected(make, message):
    with pytest.raises(UserError) as error:
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
            "add when=When('optimizer.kind', (…,))",
        ),
        (
            Search(
                ACCURACY, (KIND, Uniform("optimizer.momentum", 0, 9, When(KIND.path, ("sgd",))))
            ),
            "optimizer.momentum must be",
        ),
        (
            Search(ACCURACY, (Choice("data.validation_split", ("train",)),)),
            "the same examples",
        ),
        (
            Search(Objective("test/accuracy", "max"), (LEARNING_RATE,)),
            "the test split",
        ),
        (Search(Objective("eval/acuracy", "max"), (LEARNING_RATE,)), "Did you mean 'eval/acc"),
        (Search(ACCURACY, (Choice("evaluate.split", ("test",)),)), "the search sets it"),
        (
            Search(ACCURACY, (Uniform("data.validation_fraction", 0.1, 0.2),)),
            "the same examples",
        ),
        (Search(ACCURACY, (Choice("seed", (1, 2)),)), "set executions in the search file"),
        (Search(Objective("train/accuracy"), (LEARNING_RATE,)), "a metric of eval"),
        (Search(ACCURACY, (Uniform("train.epochs", 1.0, 9.0),), Hyperband(1)), "Hyperband sets it"),
        (Search(ACCURACY, (LEARNING_RATE,), Hyperband(9.0)), "must be at most train.epochs = 10"),
    ],
)
def test_search_that_does_not_fit_the_experiment_is_rejected(search, message):
    with pytest.raises(UserError) as error:
        validation.check(search, Supervised())
    assert message in str(error.value)


def test_condition_makes_a_field_of_one_kind_searchable():
    momentum = Uniform("optimizer.momentum", 0.0, 0.9, When("optimizer.kind", ("sgd",)))
    validation.check(Search(ACCURACY, (KIND, momentum, LEARNING_RATE)), Supervised())


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs" / "tune").glob("*.py")), ids=lambda p: p.stem
)
def test_every_search_file_fits_the_configuration_in_its_docstring(path):
    command = path.read_text().split('"""')[1]
    config = command.split("--config=")[1].split()[0]
    assert f"--search=configs/tune/{path.name}" in command
    validation.check(validation.load(str(path)), loading.load(str(ROOT / config)))


def test_shortened_experiment_has_a_fraction_of_the_length():
    assert validation.shortened(Supervised(), 1 / 3).train.epochs == pytest.approx(10 / 3)
    by_steps = Supervised(train=Train(steps=100), optimizer=Adam(schedule=CosineSchedule()))
    third = validation.shortened(by_steps, 1 / 3)
    assert third.train.steps == 33

    def learning_rates(experiment):
        length = experiment.optimizer.schedule_steps or experiment.train.steps
        schedule = LearningRate(experiment.optimizer, length)
        return [float(schedule(step)) for step in (0, 16, 32)]

    assert learning_rates(third) == learning_rates(by_steps)
    hyperband = Search(ACCURACY, (LEARNING_RATE,), Hyperband(1))
    validation.check(hyperband, by_steps)
    by_epochs = dataclasses.replace(by_steps, train=Train())
    with pytest.raises(UserError, match=r"a length in train\.steps"):
        validation.check(hyperband, by_epochs)


@pytest.mark.parametrize("experiment", [Supervised(), ReinforcementLearning()])
def test_trials_are_blind_to_the_test_split(experiment):
    assert validation.without_test_split(experiment).evaluate.split == "validation"


def test_different_searches_differ_as_json():
    one = Search(ACCURACY, (LEARNING_RATE,))
    other = Search(ACCURACY, (Uniform("optimizer.learning_rate", 1e-4, 1e-1),))
    assert one.to_json() != other.to_json()
    assert one.to_json() != Search(ACCURACY, (LEARNING_RATE,), Bayesian(initial=3)).to_json()


def test_direction_of_a_known_metric_is_its_default():
    assert Objective("eval/loss").direction == "min"
    assert Objective("eval/accuracy") == Objective("eval/accuracy", "max")
    with pytest.raises(UserError, match=r"Objective\('eval/length_mean'\) needs a direction"):
        Objective("eval/length_mean")


def test_nested_kinds_and_tuples_of_sections_can_be_searched():
    space = (
        Choice("optimizer.schedule.kind", ("constant", "cosine")),
        Choice("augment", ("", "crop", ("crop", "flip"))),
    )
    validation.check(Search(ACCURACY, space), Supervised())
    wrong = Choice("augment", ("crop", "cut"))
    with pytest.raises(UserError, match="invalid at augment=cut: unknown kind of augment"):
        validation.check(Search(ACCURACY, (wrong,)), Supervised())
