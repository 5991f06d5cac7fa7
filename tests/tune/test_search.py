"""Complete searches in one process, with real training runs that are really killed."""

import json
import os
import signal
import statistics

import psutil
import pytest

from trainer.tune.layout import Layout


def test_killed_search_ends_like_an_undisturbed_training(command, tmp_path, start, seen):
    layout = Layout(tmp_path / "killed")
    arguments = command("killed", '(Uniform("model.dropout", 0.0, 0.1),)', "--max_trials=1")

    first = start(*arguments)
    seen.wait_until(lambda: seen.has_trained(layout, "0000"), first)
    trial = seen.training(first)
    trial.kill()
    trial.wait(timeout=10)
    seen.wait_until(lambda: "resuming at step" in layout.log("0000", 0).read_text(), first)
    orphan = seen.training(first)
    first.kill()
    first.wait()
    orphan.wait(timeout=10)

    def has_resumed_twice():
        return layout.log("0000", 0).read_text().count("resuming at step") == 2

    second = start(*arguments)
    seen.wait_until(has_resumed_twice, second)
    second.send_signal(signal.SIGINT)
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 75, errors
    assert "run the same command" in errors
    (trial,) = seen.trials(layout).values()
    assert (trial["status"], trial["lost"]) == ("waiting", 1)

    assert "0 of 1 trials done" in seen.finish(start(*arguments))
    (trial,) = seen.trials(layout).values()
    assert (trial["status"], trial["baseline"]) == ("finished", True)
    assert (len(trial["claims"]), trial["lost"]) == (3, 1)

    same = ("--config.seed=0", "--config.evaluate.split=validation")
    alone = tmp_path / "alone"
    seen.finish(start("train", f"--config={layout.best}", *same, f"--workdir={alone}"))
    assert trial["score"] == json.loads((alone / "result.json").read_text())["metrics"]["eval/loss"]
    assert json.loads(layout.best.read_text())["seed"] == 1


def test_every_way_to_end_is_recorded_with_its_reason(command, tmp_path, start, seen):
    search = (
        '(Choice("train.global_batch_size", (32, 5000)),'
        ' Choice("optimizer.learning_rate", (1e-2, 1e-9, 2e-2, 1e30))), Grid(), median_stopping=1'
    )
    layout = Layout(tmp_path / "search")
    options = ("--max_trials=5", "--nobaseline", "--config.train.steps=1000")
    process = start(*command("search", search, *options))
    for _ in range(2):
        seen.wait_until(lambda: layout.log("0002", 0).exists() and seen.training(process), process)
        trial = seen.training(process)
        trial.kill()
        trial.wait(timeout=10)
    errors = seen.finish(process)
    assert "5 of 5 done, 0 running, 3 failed, best eval/loss" in errors

    good, stopped, killed, diverged, refused = seen.trials(layout).values()
    assert (good["status"], good["reason"]) == ("finished", "")
    assert (stopped["status"], stopped["reason"]) == ("stopped", "below the median")
    assert stopped["score"] > good["score"]
    assert not (layout.workdir("0001", 0) / "result.json").exists()
    assert (killed["status"], killed["score"]) == ("failed", None)
    assert killed["reason"] == "killed by SIGKILL (out of memory?), twice"
    assert diverged["status"] == "failed"
    assert "the loss is " in diverged["reason"]
    assert refused["status"] == "refused"
    assert "at most the 1251 training examples. Received: 5000" in refused["reason"]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_parallel_trials_have_separate_cores_and_average_two_seeds(command, tmp_path, start, seen):
    search = '(Choice("model.dropout", (0.1, 0.2)),), Grid(), executions=2'
    layout = Layout(tmp_path / "search")
    short = ("--config.train.steps=20", "--parallel_trials=2", "--nobaseline")
    # Hides GPUs, which would be divided instead.
    process = start(*command("search", search, *short), CUDA_VISIBLE_DEVICES="")
    cores = []

    def two_run():
        trainings = psutil.Process(process.pid).children()
        # Until the training starts, the process may use all cores.
        cores[:] = [training.cpu_affinity() for training in trainings]
        everything = len(os.sched_getaffinity(0))
        return len(cores) == 2 and all(len(some) < everything for some in cores)

    seen.wait_until(two_run, process)
    assert not set(cores[0]) & set(cores[1])
    assert "2 of 2 done, 0 running, 0 failed" in seen.finish(process)

    trials = seen.trials(layout)
    assert {seen.worker(trial) for trial in trials.values()} == {"local/0", "local/1"}
    for name, trial in trials.items():
        runs = [layout.workdir(name, execution) for execution in (0, 1)]
        assert [json.loads((run / "config.json").read_text())["seed"] for run in runs] == [0, 1]
        results = [json.loads((run / "result.json").read_text()) for run in runs]
        scores = [result["metrics"]["eval/loss"] for result in results]
        assert scores[0] != scores[1]
        assert trial["score"] == pytest.approx(statistics.fmean(scores))
