"""The role of a process from its environment."""

import json

import pytest

from trainer.errors import UserError
from trainer.tune.role import Role, RoleKind, role_from_environment

WORKERS = {"worker": ["b:2222", "c:2222"]}
CLUSTER = {"chief": ["a:2222"], **WORKERS}

TUNER = Role(RoleKind.WORKER, "tuner1", "10.0.0.1:8000")


def tf_config(kind, index, cluster=CLUSTER):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def kerastuner(name, **more):
    named = {"KERASTUNER_TUNER_ID": name, "KERASTUNER_ORACLE_IP": "10.0.0.1"}
    return {**named, "KERASTUNER_ORACLE_PORT": "8000", **more}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Role(RoleKind.LOCAL, "local", "")),
        (tf_config("chief", 0), Role(RoleKind.CHIEF, "chief-0", "a:2222")),
        (tf_config("worker", 1), Role(RoleKind.WORKER, "worker-1", "a:2222")),
        (tf_config("worker", 0, {"worker": ["a:1"]}), Role(RoleKind.LOCAL, "local", "")),
        (tf_config("worker", 0, WORKERS), Role(RoleKind.CHIEF, "worker-0", "b:2222")),
        (tf_config("worker", 1, WORKERS), Role(RoleKind.WORKER, "worker-1", "b:2222")),
        (kerastuner("chief"), Role(RoleKind.CHIEF, "chief", "10.0.0.1:8000", trains=False)),
        (kerastuner("tuner1"), TUNER),
        (kerastuner("mischief"), Role(RoleKind.WORKER, "mischief", "10.0.0.1:8000")),
        (
            kerastuner("tuner1", **tf_config("chief", 0)),
            Role(RoleKind.WORKER, "tuner1", "10.0.0.1:8000"),
        ),
    ],
)
def test_role_from_environment(environment, expected):
    assert role_from_environment(environment) == expected


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
def test_invalid_environment_is_a_user_error(environment):
    with pytest.raises(UserError, match=r"needs KERASTUNER_|TF_CONFIG"):
        role_from_environment(environment)
