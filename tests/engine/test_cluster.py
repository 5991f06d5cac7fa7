import json

import pytest

from trainer.engine import cluster
from trainer.errors import UserError

WORKERS = {"worker": ["b:1", "c:1"]}


def tf_config(jobs, kind, index):
    return json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})


def test_chief_comes_first_and_other_jobs_do_not_train():
    jobs = {**WORKERS, "chief": ["a:1"], "evaluator": ["e:1"]}
    spec = cluster.parse(tf_config(jobs, "worker", 1))
    assert spec.training_hosts == ("a:1", "b:1", "c:1")
    assert spec.num_processes == 4
    assert (spec.task_type, spec.task_index, spec.is_chief) == ("worker", 1, False)


@pytest.mark.parametrize(
    ("jobs", "kind", "index", "is_chief"),
    [
        (WORKERS, "worker", 0, True),
        (WORKERS, "worker", 1, False),
        ({**WORKERS, "chief": ["a:1"]}, "chief", 0, True),
        ({**WORKERS, "chief": ["a:1"]}, "worker", 0, False),
    ],
)
def test_is_chief(jobs, kind, index, is_chief):
    assert cluster.parse(tf_config(jobs, kind, index)).is_chief is is_chief


def test_unset_or_empty_variable():
    assert cluster.from_environment({}) is None
    assert cluster.from_environment({"TF_CONFIG": ""}) is None
    # Some services set TF_CONFIG for a single host too.
    spec = cluster.from_environment({"TF_CONFIG": tf_config({}, "master", 0)})
    assert spec.training_hosts == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSONDecodeError"),
        ("3", "TypeError"),
        ('{"cluster": {}}', "KeyError: 'task'"),
        ('{"cluster": {"worker": ["a:1"]}, "task": 3}', "TypeError"),
        (tf_config(WORKERS, "worker", 2), "task index 2 of 2"),
        (tf_config(WORKERS, "chief", 0), "KeyError: 'chief'"),
        (tf_config({"worker": ["a"]}, "worker", 0), "expected an address host:port, got 'a'"),
        (tf_config({"worker": ["a:1", "a:1"]}, "worker", 0), "duplicate address 'a:1'"),
    ],
)
def test_invalid_values_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        cluster.parse(text)
