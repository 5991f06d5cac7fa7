"""Agents on two worker processes: trained, killed, resumed."""

import json

import pytest

ARGUMENTS = (
    "train",
    "--jit=off",
    "--config.model.units=8",
    "--config.train.num_envs=4",
    "--config.train.checkpoint_every=200",
    "--config.train.report_every=400",
    "--config.train.evaluate_every=400",
    "--config.environment.time_limit=40",
    "--config.evaluate.episodes=5",
)
DQN = (
    "--config=configs/cartpole_dqn.py",
    "--config.train.steps=1600",
    "--config.train.collect_steps=2",
    "--config.train.gradient_steps=2",
    "--config.agent.replay.kind=prioritized",
    "--config.agent.replay.min_size=100",
)
PPO = (
    "--config=configs/cartpole_ppo.py",
    "--config.train.steps=1600",
    "--config.train.collect_steps=10",
    "--config.train.global_batch_size=20",
    "--config.agent.epochs=3",
    "--config.agent.target_kl=0.01",
    "--config.agent.normalize_observations=true",
)


@pytest.mark.parametrize("agent", [DQN, PPO], ids=["dqn", "ppo"])
def test_a_killed_job_ends_like_an_undisturbed_one(
    agent, tmp_path, start, free_ports, progress, state_digest
):
    def job(name):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        cluster = {"cluster": {"worker": addresses}}
        return [
            start(
                *ARGUMENTS,
                *agent,
                f"--workdir={tmp_path / name}",
                TF_CONFIG=json.dumps({**cluster, "task": {"type": "worker", "index": index}}),
            )
            for index in range(2)
        ]

    def end(workers):
        errors = [worker.communicate(timeout=200)[1] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0], errors
        return errors

    chief, other = end(job("alone"))
    assert "2 replicas" in chief
    assert other == ""
    result = json.loads((tmp_path / "alone" / "result.json").read_text())
    assert result["metrics"]["test/episodes"] == 5

    run = tmp_path / "run"
    workers = job("run")
    progress.wait_for_step(run, 800, workers[0])
    for worker in workers:
        worker.kill()
        worker.wait()
    chief, _ = end(job("run"))
    assert "resuming at environment step" in chief
    assert state_digest(run) == state_digest(tmp_path / "alone")
    assert progress.records(run) == progress.records(tmp_path / "alone")
