"""Worker processes against the same environments in this process."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import Environment as EnvironmentConfig
from trainer.errors import UserError
from trainer.rl.envs import registry
from trainer.rl.envs.vector import failures_as_user_errors
from trainer.rl.specs import Box

pytestmark = pytest.mark.usefixtures("in_users_folder")

SEED = tf.constant([1, 2])
SIZE = 5


def make(name, workers, **settings):
    return registry.make(
        EnvironmentConfig(name=name, backend="gymnasium", workers=workers, **settings)
    )


def roll(environment, carry, steps):
    """Fixed actions, inside a graph; returns every output as arrays."""
    step = tf.function(environment.step)
    outputs = []
    for index in range(steps):
        if isinstance(environment.spec.action, Box):
            action = tf.fill([SIZE, len(environment.spec.action.low)], index % 5 / 10)
        else:
            numbers = [(index * 7 + i * 3) // 4 for i in range(SIZE)]
            action = tf.constant([number % environment.spec.action.n for number in numbers])
        carry, output = step(carry, action, SEED)
        outputs.append(tf.nest.map_structure(lambda value: value.numpy(), output))
    return carry, outputs


def processes(environment):
    return [worker._process for worker in environment._batch._workers]


@pytest.mark.parametrize(
    ("name", "workers"),
    [
        ("CartPole-v1", 2),
        ("own_environments:Walk", 9),
        ("own_environments:Shifting", 1),
        ("tests.rl.envs.games:Lives", 3),
    ],
)
def test_the_number_of_workers_changes_nothing(name, workers):
    settings = {"time_limit": 9, "life_loss": "Lives" in name}
    ours, theirs = make(name, workers, **settings), make(name, 0, **settings)
    carry, outputs = roll(ours, ours.initial(SEED, SIZE), 30)
    plain, expected = roll(theirs, theirs.initial(SEED, SIZE), 30)
    tf.nest.map_structure(np.testing.assert_array_equal, outputs, expected)
    assert len(processes(ours)) == min(workers, SIZE)
    state = ours.state_bytes()
    assert state == theirs.state_bytes()
    # And a checkpoint continues with any number of workers.
    second = make(name, 2, **settings)
    second.initial(tf.constant([5, 5]), SIZE)
    assert second.restore_bytes(state) == ""
    _, expected = roll(theirs, plain, 20)
    for environment in (ours, second):
        _, outputs = roll(environment, carry, 20)
        tf.nest.map_structure(np.testing.assert_array_equal, outputs, expected)


def test_an_environment_that_raises_is_an_error_of_the_user():
    ours = make("own_environments:Raises", 2)
    carry = ours.initial(SEED, SIZE)
    with pytest.raises(UserError) as caught, failures_as_user_errors(ours):
        roll(ours, carry, 5)
    message = "environment 'own_environments:Raises' failed in step() with RuntimeError: out of"
    assert str(caught.value) == f"{message} cheese"


def test_an_environment_that_cannot_be_repeated_says_so():
    first = make("own_environments:Unseeded", 2)
    roll(first, first.initial(SEED, SIZE), 3)
    second = make("own_environments:Unseeded", 2)
    second.initial(SEED, SIZE)
    assert second.restore_bytes(first.state_bytes()).endswith("is not deterministic")


def test_a_worker_that_dies_is_an_error_of_one_line():
    ours = make("own_environments:Vector", 2)
    carry = ours.initial(SEED, SIZE)
    processes(ours)[1].kill()
    with pytest.raises(UserError, match=r"worker 1 of .*Vector' ended with exit status -9; ") as \
            caught, failures_as_user_errors(ours):  # fmt: skip
        roll(ours, carry, 2)
    assert "\n" not in str(caught.value)


def test_workers_survive_the_signals_of_a_terminal():
    ours = make("own_environments:Vector", 2)
    carry = ours.initial(SEED, SIZE)
    for process in processes(ours):
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
    roll(ours, carry, 2)
    assert len(json.loads(ours.state_bytes())) == SIZE


def test_workers_end_with_their_environment():
    ours = make("own_environments:Vector", 2)
    ours.initial(SEED, SIZE)
    found = processes(ours)
    # Another size needs other arrays.
    ours.initial(SEED, 3)
    assert [process.poll() for process in found] == [0, 0]
    found = processes(ours)
    del ours
    assert [process.poll() for process in found] == [0, 0]


def test_workers_load_no_tensorflow_and_end_after_a_kill_of_the_parent():
    program = (
        "import sys, time; from trainer.compat.keras import tf; from trainer.config import rl; "
        "from trainer.rl.envs import registry; "
        "ours = registry.make(rl.Environment(name='own_environments:Vector', workers=2)); "
        "ours.initial(tf.constant([1, 2]), 4); "
        "print(*[each._process.pid for each in ours._batch._workers], flush=True); "
        "time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    for pid in pids:
        with open(f"/proc/{pid}/maps") as maps:
            assert "tensorflow" not in maps.read()
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid):
    """Whether a process exists and is no zombie, which an init process has yet to collect."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
