"""Which part a process plays, by its environment."""

import json

import pytest

from trainer.errors import UserError
from trainer.tune.role import Role, role_of

WORKERS = {"worker": ["b:2222", "c:2222"]}
CLUSTER = {"chief": ["a:2222"], **WORKERS}


def tf_config(kind, index, cluster=CLUSTER):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def kerastuner(name, **more):
    named = {"KERASTUNER_TUNER_ID": name, "KERASTUNER_ORACLE_IP": "10.0.0.1"}
    return {**named, "KERASTUNER_ORACLE_PORT": "8000", **more}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Role("alone", "local", "")),
        (tf_config("chief", 0), Role("chief", "chief-0", "a:2222")),
        (tf_config("worker", 1), Role("worker", "worker-1", "a:2222")),
        (tf_config("worker", 0, {"worker": ["a:1"]}), Role("alone", "local", "")),
        (tf_config("worker", 0, WORKERS), Role("chief", "worker-0", "b:2222")),
        (tf_config("worker", 1, WORKERS), Role("worker", "worker-1", "b:2222")),
        (kerastuner("chief"), Role("chief", "chief", "10.0.0.1:8000", trains=False)),
        (kerastuner("tuner1"), Role("worker", "tuner1", "10.0.0.1:8000")),
        (kerastuner("mischief"), Role("worker", "mischief", "10.0.0.1:8000")),
        (kerastuner("tuner1", **tf_config("chief", 0)), Role("worker", "tuner1", "10.0.0.1:8000")),
    ],
)
def test_roles(environment, expected):
    assert role_of(environment) == expected


@pytest.mark.parametrize(
    "environment",
    [
        {"KERASTUNER_TUNER_ID": "chief"},
        {"TF_CONFIG": "{"},
        {"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:1"]}}'},
        tf_config("ps", 0, {"ps": ["a:1", "b:1"]}),
        tf_config("evaluator", 0),
    ],
)
def test_too_little_or_too_much_is_one_line(environment):
    with pytest.raises(UserError, match="Received: "):
        role_of(environment)
