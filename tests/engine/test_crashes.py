"""A run is killed at each of its writes, and resumed: it ends like an undisturbed run."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COMPILER = shutil.which("cc") or shutil.which("gcc")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")

ARGUMENTS = (
    "train",
    "--config=configs/digits_cnn.py",
    "--config.model.kind=mlp",
    "--config.model.units=4",
    "--config.model.dropout=0.2",
    "--config.optimizer.kind=sgd",
    "--config.train.report_every=4",
    "--config.train.evaluate_every=4",
    "--config.train.checkpoint_every=3",
)
# A fresh run, and one that continues a finished run.
STEPS = {"fresh": 6, "extended": 10}


class Server:
    """A process that runs commands in forks of itself, killed at a write."""

    def __init__(self, folder, root):
        shim = folder / "kill_at_write.so"
        source = HERE / "kill_at_write.c"
        subprocess.run(
            [COMPILER, "-shared", "-fPIC", "-w", "-o", str(shim), str(source), "-ldl"], check=True
        )
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "train_repeatedly.py")],
            cwd=root,
            env={**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout.readline() == "ready\n"

    def train(self, workdir, steps, kill_at=-1):
        arguments = [*ARGUMENTS, f"--config.train.steps={steps}", f"--workdir={workdir}"]
        request = {"arguments": arguments, "directory": str(workdir), "kill_at": kill_at}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        return answer["status"], answer["writes"]

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=10)


@pytest.fixture(scope="module")
def server(tmp_path_factory, request):
    server = Server(tmp_path_factory.mktemp("shim"), request.config.rootpath)
    yield server
    server.close()


def check(scenario, select, server, tmp_path, state_digest, progress):
    """Kills the scenario's run at each of the selected writes."""
    steps = STEPS[scenario]
    before, whole = tmp_path / "before", tmp_path / "whole"
    if scenario == "extended":
        assert server.train(before, STEPS["fresh"])[0] == 0
        shutil.copytree(before, whole)
    status, writes = server.train(whole, steps)
    assert status == 0, whole.with_suffix(".log").read_text()
    assert writes > 100
    digest, records = state_digest(whole), progress.records(whole)

    def outcome(run):
        result = json.loads((run / "result.json").read_text())
        return result["step"], result["checkpoint"], result["metrics"]

    for number in select(range(1, writes + 1)):
        run = tmp_path / f"killed_at_{number}"
        if scenario == "extended":
            shutil.copytree(before, run)
        status, _ = server.train(run, steps, kill_at=number)
        log = run.with_suffix(".log")
        # The order of concurrent writes varies, their number hardly does.
        assert status in (-9, 0), log.read_text()
        status, _ = server.train(run, steps)
        assert status == 0, (number, log.read_text())
        assert state_digest(run) == digest, number
        assert progress.records(run) == records, number
        assert outcome(run) == outcome(whole), number
        assert not list(run.glob("checkpoints/.*")), number
        shutil.rmtree(run)


@pytest.mark.parametrize("scenario", STEPS)
def test_a_run_killed_at_some_writes_resumes(scenario, server, tmp_path, state_digest, progress):
    def some(numbers):
        return sorted(random.sample(numbers, 3))

    check(scenario, some, server, tmp_path, state_digest, progress)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", STEPS)
def test_a_run_killed_at_any_write_resumes(scenario, server, tmp_path, state_digest, progress):
    check(scenario, list, server, tmp_path, state_digest, progress)
