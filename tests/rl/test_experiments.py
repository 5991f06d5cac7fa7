"""Several seeds, pictures and the exported policy, all of one small experiment."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from trainer.cli.main import run
from trainer.compat.keras import tf
from trainer.io.records import curve, read_records
from trainer.rl.video_files import has_ffmpeg

SMALL = (
    "--jit=off",
    "--config.environment.time_limit=40",
    "--config.model.units=16",
    "--config.train.steps=1500",
    "--config.agent.replay.min_size=200",
    "--config.evaluate.episodes=10",
    # tests/engine/test_parallel_seeds.py has runs side by side.
    "--parallel_seeds=1",
)


def train(workdir, *arguments):
    return run(["train", "--config=configs/cartpole_dqn.py", f"--workdir={workdir}", *arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "cartpole"
    assert train(workdir, *SMALL, "--config.seed=3", "--config.seeds=2") == 0
    return workdir


def read(workdir):
    return json.loads((workdir / "result.json").read_text())


def test_each_seed_is_a_run_of_its_own(trained, tmp_path, state_digest):
    assert train(tmp_path / "alone", *SMALL, "--config.seed=4") == 0
    assert read(tmp_path / "alone")["metrics"] == read(trained / "seed_4")["metrics"]
    assert state_digest(tmp_path / "alone") == state_digest(trained / "seed_4")
    assert read(trained / "seed_3")["metrics"] != read(trained / "seed_4")["metrics"]


def test_the_report_is_across_seeds(trained):
    result = read(trained)
    scores = [read(trained / f"seed_{seed}")["metrics"]["test/return_mean"] for seed in (3, 4)]
    metrics = result["metrics"]
    assert metrics["test/return_of_each_seed"] == scores
    assert metrics["test/return_mean"] == np.mean(scores)
    assert metrics["test/return_iqm"] == stats.trim_mean(scores, 0.25)
    assert metrics["test/return_min"] == min(scores)
    assert metrics["test/return_ci95"] == sorted(scores)
    assert metrics["test/seeds"] == 2
    assert metrics["test/episodes"] == 20
    assert set(result["seeds"]) == {"3", "4"}
    (record,) = read_records(str(trained / "metrics.jsonl"))
    assert record.metrics["return_of_each_seed"] == scores


def test_one_more_seed_trains_only_that_one(trained, capsys):
    before = (trained / "seed_3" / "result.json").stat().st_mtime_ns
    arguments = (*SMALL, "--config.seed=3", "--config.seeds=3")
    assert train(trained, *arguments) == 0
    assert read(trained)["metrics"]["test/seeds"] == 3
    assert (trained / "seed_3" / "result.json").stat().st_mtime_ns == before
    assert capsys.readouterr().err.count("replay ") == 1
    assert train(trained, *arguments) == 0
    assert "this run is finished" in capsys.readouterr().err
    assert train(trained, *SMALL, "--config.seed=0", "--config.seeds=3") == 2
    assert "seed: 3 → 0" in capsys.readouterr().err


def test_one_run_and_several_seeds_do_not_share_a_directory(trained, capsys):
    before = (trained / "metrics.jsonl").read_text()
    assert train(trained, *SMALL, "--config.seed=3", "--config.seeds=1") == 2
    assert train(trained / "seed_3", *SMALL, "--config.seed=3", "--config.seeds=2") == 2
    errors = capsys.readouterr().err.splitlines()
    assert "can only be extended (seeds: 3 → 1)" in errors[0]
    assert errors[1].startswith("error: seeds can be raised only")
    assert errors[1].endswith("has seeds=1. Received: 2")
    assert (trained / "metrics.jsonl").read_text() == before


def test_wrong_input_of_several_seeds_leaves_nothing(tmp_path, capsys):
    for override in ("environment.name=CartPoel-v1", "agent.replay.capacity=32", "model.kind=cnn"):
        arguments = (
            "--parallel_seeds=1",
            "--config.seeds=2",
            "--config.agent.replay.min_size=32",
            f"--config.{override}",
        )
        assert train(tmp_path / "run", *arguments) == 2
        assert "error: " in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


def test_evaluate_repeats_the_report_and_draws(trained, capsys):
    assert run(["evaluate", f"--workdir={trained}", "--render", "--jit=off"]) == 0
    captured = capsys.readouterr()
    printed = json.loads(captured.out)
    found = {f"test/{name}": value for name, value in printed["metrics"].items()}
    assert found == read(trained)["metrics"]
    assert f"the learning curve is in {trained}/learning_curve.png" in captured.err
    assert Image.open(trained / "learning_curve.png").size == (840, 480)
    film = Image.open(trained / "policy.gif")
    assert film.size == (480, 320)
    assert 8 <= film.n_frames <= 40
    assert "an episode of seed 3 (return " in captured.err
    assert f"steps) is in {trained}/policy.gif" in captured.err
    assert (trained / "policy.mp4").exists() == has_ffmpeg()


def test_the_learning_curve_is_of_the_evaluations_on_the_way(trained):
    records = read_records(str(trained / "seed_4" / "metrics.jsonl"))
    evaluations = [record for record in records if record.split == "eval"]
    assert dict(curve(records, "eval/return_mean")) == {
        record.step: record.metrics["return_mean"] for record in evaluations
    }


LOAD = """
import sys, numpy as np
from tf_agents.policies import SavedModelPyTFEagerPolicy
from tf_agents.trajectories import time_step
policy = SavedModelPyTFEagerPolicy(sys.argv[1], load_specs_from_pbtxt=True)
observations = np.load(sys.argv[2])
steps = [policy.action(time_step.restart(observation)) for observation in observations]
np.save(sys.argv[3], np.array([step.action for step in steps]))
assert "trainer" not in sys.modules
"""


@pytest.mark.parametrize(
    "kind",
    ["dqn", "pendulum_ppo", *(pytest.param(n, marks=pytest.mark.slow) for n in ("c51", "ppo"))],
)
def test_the_exported_policy_acts_the_same_elsewhere(kind, trained, tmp_path):
    from trainer.engine.distribution_config import DistributionConfig
    from trainer.engine.workdir import load_experiment
    from trainer.rl import experiments

    workdir = str(trained / "seed_3")
    if kind != "dqn":
        name = {"c51": "cartpole_c51", "ppo": "cartpole_ppo"}.get(kind, kind)
        workdir = str(tmp_path / "run")
        arguments = [
            "--jit=off",
            "--config.train.steps=4000",
            "--config.environment.time_limit=40",
            "--config.evaluate.episodes=5",
            # Their moments are part of the policy.
            *(["--config.agent.normalize_observations=true"] if "ppo" in kind else []),
        ]
        assert (
            run(["train", f"--config=configs/{name}.py", f"--workdir={workdir}", *arguments]) == 0
        )
    assert run(["export", f"--workdir={workdir}", f"--output={tmp_path / 'policy'}"]) == 0
    size = 3 if "pendulum" in kind else 4
    observations = np.random.default_rng(0).normal(size=(32, size)).astype(np.float32)
    np.save(tmp_path / "observations.npy", observations)
    subprocess.run(
        [sys.executable, "-c", LOAD, tmp_path / "policy", tmp_path / "observations.npy",
         tmp_path / "actions.npy"],
        env={"TF_USE_LEGACY_KERAS": "1", "PATH": "/usr/bin:/bin"}, cwd=tmp_path, check=True,
        capture_output=True,
    )  # fmt: skip
    distribution_config = DistributionConfig(strategy="cpu")
    (loaded,) = experiments.load_each(load_experiment(workdir), workdir, distribution_config)
    carry = loaded.agent.initial_carry(len(observations))
    mine, _, _ = loaded.agent.act(observations, carry, tf.constant([0, 0]), explore=False)
    assert len(set(mine.numpy().reshape(-1))) > 1
    np.testing.assert_allclose(np.load(tmp_path / "actions.npy"), mine, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["export", "--workdir={run}", "--output={run}/x"], "seeds; use one of"),
        (["export", "--workdir={run}/seed_3", "--output={run}"], "new or empty directory"),
        (["export", "--workdir={run}/seed_3"], "--output=DIR is required"),
        (["export", "--workdir={run}/nowhere", "--output={run}/x"], "is not a work directory"),
    ],
)
def test_export_refuses_in_one_line(arguments, expected, trained, capsys):
    assert run([argument.format(run=trained) for argument in arguments]) == 2
    assert expected in capsys.readouterr().err
    assert not (trained / "x").exists()
