"""Searches that must improve on a default, and the memory of a long search."""

import json
import statistics

import psutil
import pytest

from trainer.tune.layout import Layout

pytestmark = pytest.mark.slow


def score(workdir, name):
    return json.loads((workdir / "result.json").read_text())["metrics"][name]


@pytest.mark.timeout(1500)
def test_bayesian_search_improves_on_the_default_on_digits(tmp_path, start, seen):
    config = "--config=configs/digits_cnn.py"
    layout = Layout(tmp_path / "search")
    arguments = ("--search=configs/tune/digits.py", f"--workdir={layout.root}")
    process = start("tune", config, *arguments)
    assert "20 of 20 done, 0 running, 0 failed" in seen.finish(process, seconds=1200)
    default = tmp_path / "default"
    blind = "--config.evaluate.split=validation"
    seen.finish(start("train", config, blind, f"--workdir={default}"))
    best = min(trial["score"] for trial in seen.trials(layout).values())
    print(f"digits: default {score(default, 'eval/loss'):.4f}, best of twenty {best:.4f}")
    assert best < score(default, "eval/loss")
    for path in layout.root.rglob("*.json*"):
        if path != layout.best and path != layout.state:
            assert "test" not in path.read_text().replace('"test_fraction"', ""), path


def test_search_improves_on_a_bad_default_on_cartpole(tmp_path, start, seen):
    config = (
        "--config=configs/cartpole_dqn.py",
        "--config.train.steps=18000",
        "--config.optimizer.learning_rate=1e-6",
    )
    layout = Layout(tmp_path / "search")
    arguments = ("--search=configs/tune/cartpole.py", f"--workdir={layout.root}")
    errors = seen.finish(start("tune", *config, *arguments))
    assert "6 of 6 done, 0 running, 0 failed" in errors
    trials = seen.trials(layout)
    for trial in trials.values():
        if trial["parent"]:
            assert "resuming at environment step 6" in layout.log(trial["id"], 0).read_text()
    default = tmp_path / "default"
    seen.finish(start("train", *config, f"--workdir={default}"))
    best = max(trial["score"] for trial in trials.values())
    bad = score(default, "eval/return_mean")
    print(f"CartPole: bad default {bad:.1f}, best of six {best:.1f}")
    assert best > 2 * bad


def test_memory_of_the_searching_process_is_bounded(tmp_path, start, command, seen):
    search = '(Uniform("model.dropout", 0.0, 0.5),), Bayesian(initial=5)'
    layout = Layout(tmp_path / "search")
    short = ("--config.train.steps=20",)
    process = start(*command("search", search, "--max_trials=30", *short))
    resident, seconds = {}, []

    def ended():
        trials = [trial for trial in seen.trials(layout).values() if trial["ended"]]
        if len(trials) not in resident:
            resident[len(trials)] = psutil.Process(process.pid).memory_info().rss / 2**20
        return len(trials) == 30

    seen.wait_until(ended, process, seconds=600)
    seen.finish(process)
    seconds = [trial["ended"] - trial["started"] for trial in seen.trials(layout).values()]
    sizes = {count: round(resident[count]) for count in (1, 6, 10, 20, 29)}
    print(f"MiB after trials: {sizes}; {statistics.median(seconds):.1f} s per trial")
    # The Gaussian process and the random forest are loaded by the tenth trial.
    assert resident[29] < 1.01 * resident[10]
