"""A search on several hosts: real processes on loopback, one of which freezes."""

import json
import signal
import socket

import psutil

from trainer.tune.layout import Layout

SEARCH = '(Uniform("model.dropout", 0.0, 0.1),)'


def test_frozen_worker_loses_its_trial_and_writes_nothing_more(command, tmp_path, start, seen):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    layout = Layout(tmp_path / "search")
    # The training must outlast the timeout.
    flags = ("--worker_timeout=3", "--max_trials=1", "--config.train.steps=5000")
    arguments = command("search", SEARCH, *flags)

    def host(name):
        return start(
            *arguments,
            KERASTUNER_TUNER_ID=name,
            KERASTUNER_ORACLE_IP="127.0.0.1",
            KERASTUNER_ORACLE_PORT=str(port),
        )

    chief, frozen = host("chief"), host("frozen")
    seen.wait_until(lambda: "0000" in seen.trials(layout), chief)
    remaining = host("remaining")
    seen.wait_until(lambda: seen.has_trained(layout, "0000"), frozen)
    training = seen.training(frozen)
    # Its training goes on, since only the worker itself stands still.
    frozen.send_signal(signal.SIGSTOP)
    seen.wait_until(lambda: training.status() == psutil.STATUS_ZOMBIE, chief)
    assert "another process has taken over" in layout.log("0000", 0).read_text()
    frozen.send_signal(signal.SIGCONT)
    assert "trial 0000: no heartbeat from frozen/0@" in seen.finish(chief)
    seen.finish(frozen)
    seen.finish(remaining)

    (trial,) = seen.trials(layout).values()
    assert (trial["status"], trial["lost"]) == ("finished", 1)
    workers = [worker.partition("@")[0] for worker in trial["claims"]]
    assert workers == ["frozen/0", "remaining/0"]
    assert "resuming at step" in layout.log("0000", 0).read_text()
    records = (layout.workdir("0000", 0) / "metrics.jsonl").read_text().splitlines()
    written = [(record["step"], record["split"]) for record in map(json.loads, records)]
    assert len(written) == len(set(written)) + 1  # the final evaluation is an eval record too
