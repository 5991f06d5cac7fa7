"""Agents in real processes, really stopped: the end is that of a run that was left alone."""

import signal

import pytest

ARGUMENTS = (
    "train",
    "--config.model.units=16",
    "--config.train.steps=4000",
    "--config.train.checkpoint_every=400",
    "--config.train.report_every=400",
    "--config.train.evaluate_every=2000",
    "--config.environment.time_limit=60",
    "--config.evaluate.episodes=5",
)
DQN = (
    "--config=configs/cartpole_dqn.py",
    "--config.agent.replay.kind=prioritized",
    "--config.agent.replay.min_size=200",
)
PPO = (
    "--config=configs/pendulum_ppo.py",
    "--config.train.num_envs=4",
    "--config.train.collect_steps=50",
    "--config.train.global_batch_size=50",
    "--config.agent.normalize_observations=true",
    "--config.agent.target_kl=0.02",
)


# LunarLander cannot be pickled with its state. test_gymnasium_vector.py restores it in seconds.
@pytest.mark.parametrize(
    ("agent", "environment"),
    [
        (DQN, "CartPole-v1"),
        (PPO, "Pendulum-v1"),
        pytest.param(DQN, "LunarLander-v3", marks=pytest.mark.slow),
    ],
    ids=["dqn", "ppo", "lunar lander"],
)
def test_killed_and_stopped_runs_end_like_an_undisturbed_run(
    agent, environment, tmp_path, start, progress, state_digest
):
    def command(name):
        workdir = f"--workdir={tmp_path / name}"
        return (*ARGUMENTS, *agent, f"--config.environment.name={environment}", workdir)

    alone = start(*command("alone"))
    _, errors = alone.communicate()
    assert alone.returncode == 0, errors

    run = tmp_path / "run"
    for number, step, status in ((signal.SIGKILL, 400, -9), (signal.SIGTERM, 1600, 75)):
        process = start(*command("run"))
        progress.wait_for_step(run, step, process)
        process.send_signal(number)
        _, errors = process.communicate()
        assert process.returncode == status, errors
        assert not (run / "result.json").exists()

    again = start(*command("run"))
    _, errors = again.communicate()
    assert again.returncode == 0, errors
    assert "resuming at environment step" in errors
    assert "starting new episodes" not in errors
    assert state_digest(run) == state_digest(tmp_path / "alone")
    assert progress.records(run) == progress.records(tmp_path / "alone")
