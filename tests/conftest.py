"""Two logical CPUs for every test, so that strategies of several replicas are real."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.engine.checkpoints import Checkpoints

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration(), tf.config.LogicalDeviceConfiguration()],
)

# Files whose tests take longest. They start first, so that no worker is left with one at the end.
LONGEST = (
    "models/test_registry.py",
    "tune/test_search.py",
    "tune/test_search_on_hosts.py",
    "engine/test_parallel_seeds.py",
    "rl/test_several_workers.py",
    "rl/test_exact_resume.py",
    "supervised/test_exact_resume.py",
    "test_readme.py",
    "rl/test_learning.py",
    "rl/test_task.py",
    "rl/test_on_policy.py",
    "rl/test_compiled_functions.py",
    "engine/test_distribution.py",
    "test_extending.py",
)


def pytest_collection_modifyitems(items):
    """Orders the files; pytest-xdist hands them out in this order."""

    def rank(item):
        path = item.path.as_posix()
        return next((n for n, name in enumerate(LONGEST) if path.endswith(name)), len(LONGEST))

    items.sort(key=rank)


@pytest.fixture
def start(request):
    """Starts `python -m trainer ARGUMENTS…` as a process of its own, at the project's root."""
    processes = []

    def start(*arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer", *arguments],
            cwd=request.config.rootpath,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def free_ports():
    """A function: some ports of this host that nobody listens on."""

    def find(count: int) -> list[int]:
        sockets = [socket.socket() for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in sockets]
        for each in sockets:
            each.close()
        return ports

    return find


@pytest.fixture(scope="session")
def state_digest():
    """A function: the digest of every bit of state in a run's newest checkpoint."""

    def digest(workdir: Path) -> str:
        found, skipped = Checkpoints(str(workdir / "checkpoints"), keep=2).newest()
        assert found is not None
        assert skipped == []
        reader = tf.train.load_checkpoint(found.prefix)
        result = hashlib.blake2b()
        names = [n for n in reader.get_variable_to_shape_map() if n.endswith("VARIABLE_VALUE")]
        assert names
        for name in sorted(names):
            # How often a process saved is no part of what was learnt.
            if not name.startswith("save_counter/"):
                result.update(name.encode() + np.asarray(reader.get_tensor(name)).tobytes())
        return result.hexdigest()

    return digest


class Progress:
    """How far a run in another process has come, by its work directory."""

    @staticmethod
    def records(workdir):
        """Everything reported, except clock times and rates."""
        records = []
        for line in (workdir / "metrics.jsonl").read_text().splitlines():
            record = json.loads(line)
            metrics = {
                name: value
                for name, value in record["metrics"].items()
                if not name.endswith("_per_second")
            }
            records.append({**record, "time": None, "metrics": metrics})
        return records

    @staticmethod
    def wait_for_step(workdir, step, process):
        """Returns once a checkpoint at `step` or later is there."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            folders = workdir / "checkpoints"
            names = [path.name for path in folders.glob("[0-9]*")] if folders.exists() else []
            if any(int(name) >= step for name in names):
                return
            time.sleep(0.01)
        raise AssertionError(f"no step {step}: {process.communicate()}")


@pytest.fixture(scope="session")
def progress():
    return Progress
