"""A search on several hosts: real processes on loopback, one of which is killed."""

import json
import socket

from trainer.tune.layout import Layout

LEARNING_RATES = '(LogUniform("optimizer.learning_rate", 1e-3, 1e-1),), Random()'


def test_workers_join_and_leave_and_run_each_trial_once(command, tmp_path, start, seen):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    layout = Layout(tmp_path / "search")
    arguments = command("search", LEARNING_RATES, "--max_trials=4", "--worker_timeout=3")
    cluster = {"chief": [f"127.0.0.1:{port}"], "worker": ["127.0.0.1:1", "127.0.0.1:2"]}

    def by_tf_config(kind, index):
        task = {"type": kind, "index": index}
        return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}

    by_kerastuner = {
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(port),
    }
    chief = start(*arguments, KERASTUNER_TUNER_ID="chief", **by_kerastuner)
    killed = start(*arguments, **by_tf_config("worker", 0))
    remaining = start(*arguments, KERASTUNER_TUNER_ID="remaining", **by_kerastuner)

    def of_killed():
        trials = seen.trials(layout).values()
        return [trial["id"] for trial in trials if trial["worker"] == "worker-0/0"]

    seen.wait_until(lambda: of_killed() and seen.has_trained(layout, of_killed()[0]), chief)
    (reassigned,) = of_killed()
    orphan = seen.training(killed)
    killed.kill()
    orphan.wait(timeout=10)
    seen.wait_until(lambda: seen.trials(layout)[reassigned]["worker"] == "remaining/0", chief)
    joining = start(*arguments, **by_tf_config("worker", 1))

    errors = seen.finish(chief)
    assert f"trial {reassigned}: no heartbeat from worker-0/0 for" in errors
    seen.finish(remaining)
    seen.finish(joining)
    trials = seen.trials(layout)
    assert list(trials) == ["0000", "0001", "0002", "0003"]
    assert {trial["status"] for trial in trials.values()} == {"finished"}
    assert trials[reassigned]["claims"] == ["worker-0/0", "remaining/0"]
    assert "resuming at step" in layout.log(reassigned, 0).read_text()
    others = [trial for name, trial in trials.items() if name != reassigned]
    assert all(len(trial["claims"]) == 1 for trial in others)


def test_first_worker_is_a_chief_that_trains(command, tmp_path, start, seen):
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        hosts = [f"127.0.0.1:{free.getsockname()[1]}" for free in (one, other)]
    layout = Layout(tmp_path / "search")
    arguments = command("search", LEARNING_RATES, "--max_trials=2", "--config.train.steps=100")
    processes = [
        start(
            *arguments,
            TF_CONFIG=json.dumps(
                {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
            ),
        )
        for index in range(2)
    ]
    for process in processes:
        seen.finish(process)
    trials = seen.trials(layout).values()
    assert {trial["status"] for trial in trials} == {"finished"}
    assert {trial["worker"] for trial in trials} == {"worker-0/0", "worker-1/0"}
