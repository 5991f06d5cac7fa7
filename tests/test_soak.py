"""Fifty SIGKILLs at random moments: four kinds of runs end like undisturbed ones, bit for bit.

The moments follow from SOAK_SEED, which the test prints.
"""

import json
import os
import random
import signal
import subprocess
import time

import pytest

SEED = int(os.environ.get("SOAK_SEED", random.randrange(2**32)))

SUPERVISED = (
    "train",
    "--config=configs/digits_cnn.py",
    "--config.model.filters=8",
    "--config.model.units=16",
    "--config.model.batch_norm=true",
    "--config.model.dropout=0.2",
    "--config.augment=crop",
    "--config.train.global_batch_size=32",
    "--config.train.report_every=100",
    "--config.train.evaluate_every=200",
    "--config.train.checkpoint_every=50",
)
AGENT = (
    "train",
    "--config.model.units=32",
    "--config.agent.replay.kind=prioritized",
    "--config.agent.replay.min_size=256",
    "--config.train.report_every=1000",
    "--config.train.evaluate_every=4000",
    "--config.train.checkpoint_every=500",
    "--config.evaluate.episodes=4",
)
# The arguments, the steps, the number of SIGKILLs, the number of workers.
RUNS = {
    "supervised": ((*SUPERVISED, "--strategy=mirrored", "--virtual_devices=2"), 6000, 16, 1),
    "dqn": ((*AGENT, "--config=configs/cartpole_dqn.py"), 40_000, 14, 1),
    "lunar_lander": (
        (
            *AGENT,
            "--config=configs/gymnasium_dqn.py",
            "--config.environment.name=LunarLander-v3",
            "--config.environment.time_limit=300",
        ),
        20_000,
        10,
        1,
    ),
    "two_workers": (SUPERVISED, 3000, 10, 2),
}
assert sum(kills for _, _, kills, _ in RUNS.values()) == 50


def end(worker, was_killed):
    try:
        _, error = worker.communicate(timeout=40)
    except subprocess.TimeoutExpired:
        # The other worker was killed before they were connected, so this one waits for it.
        worker.terminate()
        _, error = worker.communicate(timeout=20)
    expected = (-signal.SIGKILL,) if was_killed else (75, -signal.SIGTERM)
    assert worker.returncode in expected, error


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", RUNS)
def test_a_run_killed_again_and_again_ends_like_an_undisturbed_run(
    kind, tmp_path, start, free_ports, progress, state_digest
):
    arguments, steps, kills, num_workers = RUNS[kind]
    moments = random.Random(f"{SEED} {kind}")
    print(f"SOAK_SEED={SEED}")

    def launch(name):
        command = (*arguments, f"--config.train.steps={steps}", f"--workdir={tmp_path / name}")
        if num_workers == 1:
            return [start(*command)]
        cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(num_workers)]}
        tasks = [{"type": "worker", "index": index} for index in range(num_workers)]
        return [
            start(*command, TF_CONFIG=json.dumps({"cluster": cluster, "task": task}))
            for task in tasks
        ]

    def finish(workers):
        errors = [worker.communicate()[1] for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * num_workers, errors

    finish(launch("alone"))
    run = tmp_path / "run"
    for number in range(kills):
        workers = launch("run")
        if moments.random() < 0.3:
            time.sleep(moments.uniform(0, 8))
        else:
            # The targets ascend, so that the kills are spread over the run.
            target = moments.uniform(number, number + 1) / kills * 0.9 * steps
            progress.wait_for_step(run, target, workers[0])
            time.sleep(moments.uniform(0, 0.3))
        killed = moments.choice(workers)
        assert killed.poll() is None, killed.communicate()
        killed.send_signal(signal.SIGKILL)
        for worker in workers:
            end(worker, was_killed=worker is killed)
    finish(launch("run"))
    assert state_digest(run) == state_digest(tmp_path / "alone")
    assert progress.records(run) == progress.records(tmp_path / "alone")
