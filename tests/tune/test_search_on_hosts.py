"""A search that a chief and workers share: real processes on loopback, one of them killed."""

import json
import socket

from trainer.tune.files import Layout

LEARNING_RATES = '(LogUniform("optimizer.learning_rate", 1e-3, 1e-1),), Random()'


def test_workers_come_and_go_and_run_no_trial_twice(command, tmp_path, start, seen):
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
    stays = start(*arguments, KERASTUNER_TUNER_ID="stays", **by_kerastuner)

    def of_killed():
        trials = seen.trials(layout).values()
        return [trial["id"] for trial in trials if trial["worker"] == "worker-0/0"]

    seen.wait_until(lambda: of_killed() and seen.has_trained(layout, of_killed()[0]), chief)
    (given_away,) = of_killed()
    orphan = seen.training(killed)
    killed.kill()
    orphan.wait(timeout=10)
    seen.wait_until(lambda: seen.trials(layout)[given_away]["worker"] == "stays/0", chief)
    comes = start(*arguments, **by_tf_config("worker", 1))

    errors = seen.finish(chief)
    assert f"trial {given_away}: worker-0/0 has been silent for" in errors
    seen.finish(stays)
    seen.finish(comes)
    trials = seen.trials(layout)
    assert list(trials) == ["0000", "0001", "0002", "0003"]
    assert {trial["status"] for trial in trials.values()} == {"finished"}
    assert trials[given_away]["claims"] == ["worker-0/0", "stays/0"]
    assert "resuming at step" in layout.log(given_away, 0).read_text()
    others = [trial for name, trial in trials.items() if name != given_away]
    assert all(len(trial["claims"]) == 1 for trial in others)


def test_the_first_worker_is_a_chief_that_trains(command, tmp_path, start, seen):
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
