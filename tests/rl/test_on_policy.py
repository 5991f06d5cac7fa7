"""Learning from rollouts: epochs, minibatches, replicas, normalization, exact resume."""

import dataclasses

import numpy as np
import pytest

from trainer.cli.main import run
from trainer.compat.keras import tf
from trainer.config import (
    CNN,
    MLP,
    PPO,
    SGD,
    Adam,
    Environment,
    Reinforce,
    ReinforcementLearning,
    TrainRL,
)
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.rl.task import ReinforcementLearningTask

SMALL = ReinforcementLearning(
    environment=Environment(time_limit=30),
    model=MLP(units=(8,), activation="tanh"),
    agent=PPO(epochs=3, normalize_rewards=True, normalize_observations=True),
    optimizer=Adam(learning_rate=1e-3, clip_norm=0.5),
    train=TrainRL(steps=2000, num_envs=4, collect_steps=12, global_batch_size=16),
)
REINFORCE = dataclasses.replace(
    SMALL, agent=Reinforce(), train=dataclasses.replace(SMALL.train, global_batch_size=0)
)
PIXELS = dataclasses.replace(
    SMALL,
    environment=Environment(name="Catch-v0"),
    model=CNN(filters=(2,), units=(4,)),
    agent=PPO(epochs=2, shared_network=True),
)


def task(config=SMALL, strategy="cpu", **options):
    options = {"precision": "float32", "virtual_devices": 2, **options}
    runtime = distribution.create(DistributionConfig(strategy=strategy, **options))
    made = ReinforcementLearningTask(config, runtime)
    made.start(0)
    return made


def checkpoint(made):
    accumulators = tf.train.Checkpoint(**made.accumulators)
    return tf.train.Checkpoint(accumulators=accumulators, **made.state, **made.local_state)


def values(made, folder):
    reader = tf.train.load_checkpoint(checkpoint(made).write(str(folder / "look")))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.endswith("VARIABLE_VALUE") and "save_counter" not in name
    }


@pytest.mark.parametrize(
    ("config", "strategy"),
    [
        (SMALL, "cpu"),
        (REINFORCE, "cpu"),
        (PIXELS, "mirrored"),
        (
            dataclasses.replace(SMALL, environment=Environment("CartPole-v1", backend="gymnasium")),
            "mirrored",
        ),
    ],
    ids=["ppo", "reinforce", "pixels on two replicas", "gymnasium on two replicas"],
)
def test_a_restored_task_resumes_bit_for_bit(config, strategy, tmp_path):
    # Compilation takes most of the time, and one agent shows that it changes nothing.
    jit = "auto" if config is SMALL else "off"
    whole, first = (task(config, strategy, jit=jit) for _ in range(2))
    whole.advance(6)
    first.advance(2)
    saved = checkpoint(first).write(str(tmp_path / "saved"))
    second = task(config, strategy, jit=jit)
    checkpoint(second).read(saved).assert_existing_objects_matched()
    second.start(2 * second.steps_per_iteration)
    second.advance(1)
    second.advance(3)
    expected, found = values(whole, tmp_path), values(second, tmp_path)
    assert set(expected) == set(found)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert whole.metrics() == second.metrics()


def fixed_steps(made):
    """Steps of four environments that do not depend on the strategy."""
    with tf.device("/cpu:0"):
        _ = made
        one = task(dataclasses.replace(SMALL, agent=PPO()), jit="off")
        steps, _ = one.collectors[0].collect()
    return steps


@pytest.mark.parametrize("jit", ["on", "off"])
def test_an_update_on_two_replicas_is_that_on_one(jit):
    """With whole rollouts as batches, so that the order of minibatches does not matter."""
    config = dataclasses.replace(
        SMALL,
        agent=dataclasses.replace(SMALL.agent, epochs=4),
        optimizer=SGD(learning_rate=0.1, clip_norm=0.5),
        train=dataclasses.replace(SMALL.train, global_batch_size=48),
    )
    found = []
    for strategy in ("cpu", "mirrored"):
        made = task(config, strategy, jit=jit)
        steps = fixed_steps(made)
        replicas = len(made.collectors)
        parts = made._strategy.experimental_distribute_values_from_function(
            lambda context, steps=steps, replicas=replicas: tf.nest.map_structure(
                lambda field: tf.split(field, replicas, axis=1)[context.replica_id_in_sync_group],
                steps,
            )
        )
        learn = tf.function(made.learning.learn_from)
        for _ in range(2):
            learn(parts, tf.constant(0.0))
        assert made.learner.optimizer.iterations.numpy() == 8
        moments = made.agent._observations
        found.append([each.numpy() for each in (*made.agent.trainable_variables, moments.mean)])
        figures = {name: made.metrics()[name] for name in made.agent.figures}
        found[-1].append(np.array(list(figures.values())))
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)


def test_every_epoch_uses_each_step_once(monkeypatch):
    made = task(dataclasses.replace(SMALL, agent=PPO(epochs=2)), jit="off")
    seen = []

    def record(batches, weights):
        tf.numpy_function(lambda each: seen.append(each), [batches.return_], [])
        return weights, tf.zeros([3 + len(made.agent.figures)])

    monkeypatch.setattr(made.learner, "learn", record)
    steps, _ = made.collectors[0].collect()
    tf.function(made.learning.learn_from)(steps, tf.constant(0.0))
    epochs = np.concatenate([each.reshape(-1, 16) for each in seen]).reshape(2, 48)
    rollout, _ = made.agent.rollout(steps)
    expected = np.sort(rollout.return_.numpy().reshape(-1))
    for epoch in epochs:
        np.testing.assert_allclose(np.sort(epoch), expected, rtol=1e-5)
    assert (epochs[0] != epochs[1]).any()


@pytest.mark.parametrize("jit", ["on", "off"])
def test_a_large_divergence_ends_the_updates_of_a_rollout(jit):
    optimizer = Adam(learning_rate=0.1)
    agent = PPO(epochs=10)
    updates = {}
    for target_kl in (0.0, 1e-4):
        config = dataclasses.replace(
            SMALL, agent=dataclasses.replace(agent, target_kl=target_kl), optimizer=optimizer
        )
        made = task(config, jit=jit)
        made.advance(1)
        updates[target_kl] = int(made.learner.optimizer.iterations)
    # Three minibatches in each epoch; the first epoch is always whole.
    assert updates[0.0] == 30
    assert updates[1e-4] in (3, 6)


def test_rewards_are_divided_by_the_deviation_of_returns():
    """CartPole's rewards are 1: the scale is that of the running returns."""
    made = task(dataclasses.replace(SMALL, agent=PPO(normalize_rewards=True)), jit="off")
    made.advance(1)
    deviation = float(made.agent._returns.standard_deviation())
    running = list(made.learning._running_returns)
    assert 1 < deviation < 10
    assert running[0].numpy().max() > 1
    made.learning.end_episodes()
    assert running[0].numpy().max() == 0


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["train.global_batch_size=100"], "must divide the 256 steps of a rollout"),
        (["agent.clip_range=0"], "clip_range"),
        (["agent.replay.capacity=10"], "replay"),
        (["model.dropout=0.5"], "model.dropout must be 0"),
        (
            ["agent.kind=reinforce", "train.global_batch_size=64"],
            "set train.global_batch_size to 0",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_input_is_one_line(overrides, expected, tmp_path, capfd):
    arguments = [f"--config.{override}" for override in overrides]
    config = "configs/cartpole_ppo.py"
    workdir = tmp_path / "run"
    assert run(["train", f"--config={config}", f"--workdir={workdir}", *arguments]) == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if "strategy" not in line]
    assert len(errors) == 1, errors
    assert expected in errors[0]
    assert not workdir.exists()
