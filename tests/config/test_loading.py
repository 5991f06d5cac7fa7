import dataclasses
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import loading
from trainer.config.rl import C51, Prioritized, QLinear, ReinforcementLearning
from trainer.config.sections import CNN, MLP, SGD, Adam, AdamW, Linear, RMSprop
from trainer.config.supervised import CSV, TFDS, Digits, ImageFolder, Supervised, Train
from trainer.errors import UserError

models = st.one_of(
    st.just(Linear()),
    st.builds(
        MLP,
        units=st.lists(st.integers(1, 999), max_size=4).map(tuple),
        dropout=st.floats(0, 0.99),
    ),
    st.builds(CNN, filters=st.lists(st.integers(1, 99), min_size=1, max_size=3).map(tuple)),
)
optimizers = st.one_of(
    st.builds(Adam, learning_rate=st.floats(1e-9, 1e3)),
    st.builds(AdamW, weight_decay=st.floats(0, 1)),
    st.builds(SGD, momentum=st.floats(0, 0.999)),
    st.builds(RMSprop),
)
data = st.sampled_from([Digits(), TFDS(name="cifar10"), ImageFolder(path="x"), CSV(path="x")])
supervised = st.builds(
    Supervised, seed=st.integers(0, 2**31), data=data, model=models, optimizer=optimizers
)
reinforcement = st.builds(
    ReinforcementLearning,
    model=models,
    optimizer=optimizers,
    agent=st.sampled_from([QLinear(), C51(v_max=7.0)]),
    replay=st.just(Prioritized()),
)


@given(st.one_of(supervised, reinforcement))
def test_json_gives_the_same_experiment_back(experiment):
    assert loading.from_json(loading.to_json(experiment), "config.json") == experiment


@given(st.floats(1e-9, 1e3), st.integers(1, 10**6), st.lists(st.integers(1, 512), max_size=4))
def test_overrides_are_typed(learning_rate, steps, units):
    changed = loading.override(
        Supervised(model=MLP()),
        [
            f"--config.optimizer.learning_rate={learning_rate}",
            f"--config.train.steps={steps}",
            f"--config.model.units={tuple(units)}",
        ],
    )
    assert changed == Supervised(
        model=MLP(units=tuple(units)),
        optimizer=Adam(learning_rate=learning_rate),
        train=Train(steps=steps),
    )


def test_an_integer_is_good_where_a_float_is_wanted():
    changed = loading.override(Supervised(), ["--config.optimizer.learning_rate=1"])
    assert changed.optimizer.learning_rate == 1.0
    assert isinstance(changed.optimizer.learning_rate, float)


def test_a_kind_exchanges_its_section_wherever_it_stands():
    changed = loading.override(
        Supervised(), ["--config.model.units=7,8", "--config.model.kind=mlp"]
    )
    assert changed.model == MLP(units=(7, 8))


def test_the_same_kind_again_keeps_the_section():
    experiment = Supervised(model=CNN(filters=(5,)))
    assert loading.override(experiment, ["--config.model.kind=cnn"]) == experiment


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("optimizer.learning_rat=1", "Did you mean 'optimizer.learning_rate'?"),
        ("model.kind=mpl", "Did you mean 'mlp'?"),
        ("model.activation=rellu", "Did you mean 'relu'?"),
        ("optimizer.learning_rate=-1", "optimizer.learning_rate must be > 0. Received: -1.0"),
        ("optimizer.learning_rate=nan", "Received: nan"),
        ("optimizer.learning_rate=inf", "Received: inf"),
        ("optimizer.learning_rate=fast", "of type float, as 0.001. Received: 'fast'"),
        ("train.steps=1.5", "of type int, as 0. Received: '1.5'"),
        ("model.batch_norm=maybe", "true or false, as False. Received: 'maybe'"),
        ("model.filters=0,3", "model.filters must be >= 1. Received: (0, 3)"),
        ("model.filters=()", "not empty. Received: ()"),
        ("model.filters=a", "of type int. Received: ('a',)"),
        ("model=3", "unknown configuration field"),
        ("data.test_fraction=0.95", "must leave something to train on. Received: 0.1 + 0.95"),
        ("task=rl", "task is the file's to choose"),
    ],
)
def test_a_wrong_override_is_one_line_with_the_remedy(override, expected):
    with pytest.raises(UserError) as caught:
        loading.override(Supervised(), [f"--config.{override}"])
    assert expected in str(caught.value)
    assert "Received: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_combinations_are_refused_when_a_section_is_made():
    with pytest.raises(UserError, match="nesterov needs momentum"):
        SGD(nesterov=True)
    with pytest.raises(UserError, match="v_min must be < v_max"):
        C51(v_min=1.0, v_max=1.0)
    with pytest.raises(UserError, match="must differ"):
        TFDS(validation_split="test")


def test_json_of_another_shape_is_refused_with_its_path():
    mapping = loading.to_mapping(Supervised())
    mapping["train"]["stepz"] = 3
    with pytest.raises(UserError, match=r"unknown field of train\. Did you mean 'steps'"):
        loading.from_mapping(mapping)
    del mapping["train"]["stepz"], mapping["train"]["steps"]
    with pytest.raises(UserError, match=r"train\.steps is missing"):
        loading.from_mapping(mapping)
    with pytest.raises(UserError, match=r"config\.json is not JSON"):
        loading.from_json("{", "config.json")


def test_differences_name_path_and_both_values():
    old, new = Supervised(), Supervised(seed=3, model=MLP())
    assert "seed: 0 → 3" in loading.differences(old, new)
    assert "model.kind: cnn → mlp" in loading.differences(old, new)
    assert loading.differences(old, old) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def get_config(:\n", "SyntaxError"),
        ("x = 1\n", "no function get_config"),
        ("def get_config():\n    return 3\n", "Received: int"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        (
            "from trainer.config.sections import Adam\n"
            "def get_config():\n    return Adam(learning_rate=0.0)\n",
            "learning_rate must be > 0",
        ),
    ],
)
def test_a_broken_configuration_file_is_the_users_to_mend(tmp_path, text, expected):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(UserError, match=r"broken\.py") as caught:
        loading.load(str(path))
    assert expected in str(caught.value)


def test_a_missing_configuration_file_names_the_nearest(tmp_path):
    (tmp_path / "digits_cnn.py").write_text("")
    with pytest.raises(UserError, match=r"Did you mean '.*digits_cnn\.py'"):
        loading.load(str(tmp_path / "digit_cnn.py"))


def test_every_field_says_what_it_means():
    for experiment in (Supervised(), ReinforcementLearning()):
        for path, field, _ in loading.paths(experiment):
            assert field.metadata["doc"].endswith((".", ")")), path


def test_the_schema_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Supervised().seed = 3  # type: ignore[misc]


def test_the_schema_needs_no_tensorflow():
    program = (
        "import sys, trainer.config.loading, trainer.cli.main, trainer.cli.train\n"
        "import json; print(json.dumps([name for name in sys.modules"
        " if name.partition('.')[0] in ('tensorflow', 'tf_keras', 'keras')]))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(output) == []
