"""The report of agents agrees with result.json."""

import json
import re
import shutil

import numpy as np
import pytest
from scipy import stats

from trainer.cli.main import run
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.seed_folders import runs
from trainer.engine.workdir import load_experiment
from trainer.report import agent
from trainer.rl.experiments import create_runtime
from trainer.rl.loading import load

SMALL = (
    "--config.train.steps=400",
    "--config.model.units=16",
    "--config.agent.replay.min_size=100",
    "--config.evaluate.episodes=6",
    "--config.evaluate.interim_episodes=4",
    "--jit=off",
)


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory, request):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(request.config.rootpath)
        path = tmp_path_factory.mktemp("agent") / "run"
        config = ("train", "--config=configs/cartpole_dqn.py", f"--workdir={path}", *SMALL)
        reference = "--config.evaluate.reference=500 (</script><b>, 2020)"
        assert run([*config, "--config.seeds=2", "--parallel_seeds=1", reference]) == 0
        return path


def test_episodes_are_those_of_the_result(two_seeds):
    runtime = create_runtime(DistributionConfig(strategy="cpu", jit="off"))
    for experiment, directory in runs(load_experiment(str(two_seeds)), str(two_seeds)):
        with open(f"{directory}/result.json") as file:
            metrics = json.load(file)["metrics"]
        episodes = load(experiment, directory, runtime).evaluator.episodes("test")
        assert episodes.returns.shape == (6,)
        assert episodes.returns.mean() == pytest.approx(metrics["test/return_mean"])
        assert episodes.first_value.mean() == pytest.approx(metrics["test/q_first_mean"], rel=1e-4)


def test_the_report_has_every_seed_and_the_film(two_seeds, capsys):
    assert run(["report", str(two_seeds), "--jit=off"]) == 0
    page = (two_seeds / "report.html").read_text()
    result = json.loads((two_seeds / "result.json").read_text())
    for seed, metrics in result["seeds"].items():
        assert f'seed {seed}</td><td class="number">{metrics["test/return_mean"]:.5g}</td>' in page
    mean = result["metrics"]["test/return_mean"]
    assert f'all seeds</td><td class="number">{mean:.5g}</td>' in page
    assert "Published: 500 (&lt;/script&gt;&lt;b&gt;, 2020)" in page
    film = "data:video/mp4;base64," if shutil.which("ffmpeg") else "data:image/gif;base64,"
    assert film in page
    assert not (two_seeds / "policy.gif").exists()
    assert "now and had" not in page
    data = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page)
    titles = re.findall(r'aria-label="(Returns of the final|Calibration of the value)', page)
    assert len(titles) == 2
    assert all(json.loads(each)["data"] for each in data)
    capsys.readouterr()


def test_the_interval_of_the_learning_curve_is_students():
    evaluations = {"a": {1: 1.0, 2: 2.0}, "b": {1: 3.0, 2: 2.0, 3: 9.0}, "c": {1: 2.0, 2: 8.0}}
    chart = agent.learning_curve(evaluations)
    *_, band, mean = chart.figure.data
    assert list(mean.x) == [1, 2]
    np.testing.assert_allclose(mean.y, [2, 4])
    for place, values in enumerate(([1, 3, 2], [2, 2, 8])):
        low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
        np.testing.assert_allclose([band.y[3 - place], band.y[place]], [low, high])
    assert len(agent.learning_curve({"a": {1: 1.0}}).figure.data) == 1


def test_an_environment_that_cannot_be_rendered(tmp_path, monkeypatch, request, capsys):
    monkeypatch.chdir(request.config.rootpath)
    monkeypatch.syspath_prepend(request.config.rootpath / "tests" / "rl" / "envs")
    workdir = f"--workdir={tmp_path / 'run'}"
    config = ("train", "--config=configs/gymnasium_dqn.py", workdir, *SMALL)
    assert run([*config, "--config.environment.name=own_environments:Walk"]) == 0
    assert run(["report", workdir, "--jit=off"]) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<p>There is none: " in page
    assert "Returns of the final episodes" in page
    capsys.readouterr()
