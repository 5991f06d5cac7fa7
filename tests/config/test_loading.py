import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import (
    CNN,
    MLP,
    Adam,
    EpsilonGreedy,
    QLinear,
    RandomFlip,
    ReinforcementLearning,
    Supervised,
    loading,
)
from trainer.config.fields import ConfigBase
from trainer.errors import UserError


@settings(deadline=None)
@given(st.data())
def test_json_round_trip_preserves_the_experiment(experiments, data):
    experiment = data.draw(experiments)
    assert loading.from_json(loading.to_json(experiment), "config.json") == experiment


def sections(mapping, path=()):
    """Every nested mapping with its path."""
    yield path, mapping
    for name, value in mapping.items():
        if isinstance(value, dict):
            yield from sections(value, (*path, name))
        elif isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    yield from sections(item, (*path, name, number))


def sections_at(experiment, path):
    """The section at a path, and the section that the experiment would hold there by default."""
    section, default = experiment, type(experiment)()
    for name in path:
        if isinstance(name, int):
            section, default = section[name], None
        else:
            section, default = getattr(section, name), getattr(default, name)
        if isinstance(section, ConfigBase) and type(default) is not type(section):
            default = type(section)()
    return section, default


@settings(deadline=None)
@given(st.data())
def test_missing_field_takes_its_default(experiments, data):
    experiment = data.draw(experiments)
    mapping = json.loads(loading.to_json(experiment))
    path, section = data.draw(
        st.sampled_from([one for one in sections(mapping) if set(one[1]) - {"kind"}])
    )
    name = data.draw(st.sampled_from([name for name in section if name not in ("kind", "task")]))
    if section.get("nesterov"):
        section["nesterov"] = False
    del section[name]
    restored = loading.from_mapping(mapping)

    found, default = sections_at(restored, path)
    assert getattr(found, name) == getattr(default, name)
    # All other fields are as written.
    written = json.loads(loading.to_json(restored))
    target = written
    for step in path:
        target = target[step]
    del target[name]
    assert written == mapping


def test_empty_sections_give_the_default_experiment():
    assert loading.from_mapping({"task": "supervised"}) == Supervised()
    sections = {"task": "rl", "agent": {}, "optimizer": {"schedule": {}}, "train": {}}
    assert loading.from_mapping(sections) == ReinforcementLearning()


def test_missing_kind_is_that_of_the_default():
    mapping = {"task": "supervised", "model": {"filters": [3]}, "augment": [{"kind": "flip"}]}
    experiment = loading.from_mapping(mapping)
    assert experiment == Supervised(model=CNN(filters=(3,)), augment=(RandomFlip(),))


def test_integers_of_earlier_configurations_hold_for_all_convolutions():
    model = {"kind": "cnn", "kernel_size": 5, "strides": 2}
    experiment = loading.from_mapping({"task": "supervised", "model": model})
    assert experiment.model == CNN(kernel_size=(5,), strides=(2,))
    assert loading.from_json(loading.to_json(experiment), "config.json") == experiment


def test_nested_default_is_that_of_the_holding_section():
    mapping = {
        "task": "rl",
        "agent": {"kind": "q_linear", "exploration": {"epsilon_decay_steps": 5}},
    }
    exploration = EpsilonGreedy(epsilon_initial=0.0, epsilon_final=0.0, epsilon_decay_steps=5)
    assert loading.from_mapping(mapping).agent == QLinear(exploration=exploration)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": {"stepz": 3}}, "unknown field of train. Did you mean 'steps'"),
        ({"optimiser": {}}, "unknown field of the configuration. Did you mean 'optimizer'"),
        ({"optimizer": {"schedule": {"warm_up": "3"}}}, "unknown field of optimizer.schedule. Did"),
        ({"optimizer": {"schedule": "cosine"}}, "optimizer.schedule must be a mapping"),
        ({"optimizer": {"schedule": {"kind": "cos"}}}, "unknown optimizer.schedule.kind"),
        ({"augment": [{"kind": "crop", "pad": 1}]}, "unknown field of augment.0. Did you mean"),
        ({"augment": [{"kind": "crop", "padding": 0}]}, "augment.0.padding must be >= 1"),
        ({"augment": [{}]}, "unknown augment.0.kind"),
        ({"augment": 3}, "augment must be a tuple of sections. Received: 3"),
        ({"task": "vision"}, "unknown task"),
        ({"model": {"kind": "custom"}}, "model.builder must not be empty"),
        ({"train": {"steps": 1.5}}, "train.steps must be of type int. Received: 1.5"),
    ],
)
def test_invalid_mapping_is_rejected_with_the_path(change, message):
    with pytest.raises(UserError) as caught:
        loading.from_mapping({"task": "supervised", **change})
    assert message in str(caught.value)


def test_invalid_json_names_the_file():
    with pytest.raises(UserError, match=r"config\.json is not valid JSON"):
        loading.from_json("{", "config.json")
    with pytest.raises(UserError, match=r"config\.json: unknown task"):
        loading.from_json("{}", "config.json")


def test_config_json_is_loaded_like_a_configuration_file(tmp_path):
    path = tmp_path / "config.json"
    experiment = Supervised(model=MLP(), optimizer=Adam(learning_rate=0.5))
    path.write_text(loading.to_json(experiment))
    assert loading.load(str(path)) == experiment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def get_config(:\n", "SyntaxError"),
        ("x = 1\n", "must define a function get_config()"),
        ("def get_config():\n    return 3\n", "Received: int"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        (
            "from trainer.config import Adam\n"
            "def get_config():\n    return Adam(learning_rate=0.0)\n",
            "learning_rate must be > 0",
        ),
    ],
)
def test_failing_configuration_file_is_a_user_error(tmp_path, text, expected):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(UserError, match=r"broken\.py") as caught:
        loading.load(str(path))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_configuration_file_suggests_a_similar_one(tmp_path):
    (tmp_path / "digits_cnn.py").write_text("")
    with pytest.raises(UserError, match=r"Did you mean '.*digits_cnn\.py'"):
        loading.load(str(tmp_path / "digit_cnn.py"))
    with pytest.raises(UserError, match="does not exist"):
        loading.load(str(tmp_path / "none" / "digit_cnn.py"))
    (tmp_path / "config.yaml").touch()
    with pytest.raises(UserError, match=r"must end in \.py or \.json"):
        loading.load(str(tmp_path / "config.yaml"))


def test_configuration_does_not_import_tensorflow():
    program = (
        "import sys, trainer.config, trainer.config.overrides, trainer.config.user_code\n"
        "import trainer.cli.main, trainer.cli.train\n"
        "import json; print(json.dumps([name for name in sys.modules"
        " if name.partition('.')[0] in ('tensorflow', 'tf_keras', 'keras')]))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(output) == []
