"""A search on several hosts: real processes on loopback, one of which freezes."""

import json
import signal
import socket

import psutil

from trainer.tune.layout import Layout

# The second trial is still running when its worker has been given up.
LENGTHS = '(Choice("train.steps", (40, 1500)),), Grid()'


def test_frozen_worker_loses_its_trial_and_writes_nothing_more(command, tmp_path, start, seen):
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        hosts = [f"127.0.0.1:{free.getsockname()[1]}" for free in (one, other)]
    layout = Layout(tmp_path / "search")
    # The first worker is the chief, and trains.
    limits = ("--worker_timeout=3", "--max_trial_seconds=100", "--nobaseline")
    arguments = command("search", LENGTHS, *limits)

    def host(index):
        task = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
        return start(*arguments, TF_CONFIG=json.dumps(task))

    chief = host(0)
    seen.wait_until(lambda: "0000" in seen.trials(layout), chief)
    frozen = host(1)
    seen.wait_until(lambda: seen.has_trained(layout, "0001"), frozen)
    training = seen.training(frozen)
    # Its training goes on, since only the worker itself stands still.
    frozen.send_signal(signal.SIGSTOP)

    def is_reassigned():
        return seen.worker(seen.trials(layout)["0001"]) == "worker-0/0"

    seen.wait_until(is_reassigned, chief)
    seen.wait_until(lambda: training.status() == psutil.STATUS_ZOMBIE, chief)
    assert "another process has taken over" in layout.log("0001", 0).read_text()
    frozen.send_signal(signal.SIGCONT)
    errors = seen.finish(chief)
    assert "trial 0001: no heartbeat from worker-1/0@" in errors
    seen.finish(frozen)

    trials = seen.trials(layout)
    assert {trial["status"] for trial in trials.values()} == {"finished"}
    assert [len(trial["claims"]) for trial in trials.values()] == [1, 2]
    assert "resuming at step" in layout.log("0001", 0).read_text()
    records = (layout.workdir("0001", 0) / "metrics.jsonl").read_text().splitlines()
    written = [(record["step"], record["split"]) for record in map(json.loads, records)]
    assert len(written) == len(set(written)) + 1  # the final evaluation is an eval record too
