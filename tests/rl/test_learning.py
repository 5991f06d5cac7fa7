"""Every agent learns: it finds the values of a small game that are known exactly."""

import dataclasses

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import (
    CNN,
    DQN,
    MLP,
    PPO,
    Adam,
    Environment,
    EpsilonGreedy,
    Linear,
    PrioritizedReplay,
    QLinear,
    Reinforce,
    ReinforcementLearning,
    TrainRL,
    UniformReplay,
)
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.rl.envs import base, registry
from trainer.rl.specs import Discrete
from trainer.rl.task import ReinforcementLearningTask

CELLS, DISCOUNT = 8, 0.8
EVERYWHERE = EpsilonGreedy(epsilon_initial=1.0, epsilon_final=1.0)
REPLAY = UniformReplay(capacity=4000, min_size=200)


class Corridor(base.Environment):
    """A row of cells: its left end is worth 0.5, its right end 1; 0 is left, 1 is right."""

    observation_shape = (CELLS,)
    action_spec = Discrete(2)

    def reset(self, seed, batch_size):
        inner = tf.random.stateless_uniform([batch_size], seed, 1.0, CELLS - 1.0)
        return tf.floor(inner)

    def step(self, state, action, seed):
        del seed
        cell = state + 2.0 * tf.cast(action, tf.float32) - 1.0
        reward = tf.where(cell == 0.0, 0.5, tf.where(cell == CELLS - 1.0, 1.0, 0.0))
        return cell, reward, reward > 0.0

    def observe(self, state):
        return tf.one_hot(tf.cast(state, tf.int32), CELLS)

    def render(self, state):
        raise NotImplementedError


class PixelCorridor(Corridor):
    """The same, as a white square in a picture."""

    observation_shape = (3, CELLS, 1)
    observation_dtype = tf.uint8

    def observe(self, state):
        row = tf.cast(255 * super().observe(state), tf.uint8)
        return tf.repeat(row[:, None, :, None], 3, axis=1)


def optimal_values():
    """Q*(cell, action) of the inner cells, `[CELLS - 2, 2]`, by value iteration."""
    q = np.zeros([CELLS, 2])
    for _ in range(CELLS):
        for cell in range(1, CELLS - 1):
            for action in (0, 1):
                after = cell + 2 * action - 1
                ends = {0: 0.5, CELLS - 1: 1.0}
                q[cell, action] = ends.get(after, DISCOUNT * q[after].max())
    return q[1:-1]


def task(config, monkeypatch):
    monkeypatch.setitem(registry.IN_GRAPH, "Corridor", Corridor)
    monkeypatch.setitem(registry.IN_GRAPH, "PixelCorridor", PixelCorridor)
    runtime = distribution.create(
        DistributionConfig(strategy="cpu", virtual_devices=2, precision="float32", jit="off")
    )
    made = ReinforcementLearningTask(config, runtime)
    made.start(0)
    return made


def dqn(**options):
    settings = {"exploration": EVERYWHERE, "replay": REPLAY, "target_update_period": 20}
    return DQN(discount=DISCOUNT, **{**settings, **options})


CORRIDOR = ReinforcementLearning(
    environment=Environment(name="Corridor"),
    model=MLP(units=(32,)),
    agent=dqn(),
    optimizer=Adam(learning_rate=1e-2),
    train=TrainRL(steps=8 * 200, num_envs=8, gradient_steps=4, global_batch_size=64),
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"agent": dqn(double=True, dueling=True)},
        {"agent": dqn(replay=PrioritizedReplay(capacity=4000, min_size=200))},
        {"agent": dqn(distribution="categorical", num_atoms=21, v_max=1.0)},
        {"agent": dqn(distribution="quantile", num_quantiles=8)},
        {"agent": dqn(noisy=True, double=True)},
        {
            "agent": QLinear(discount=DISCOUNT, exploration=EVERYWHERE, replay=REPLAY),
            "model": Linear(),
            "optimizer": Adam(),
        },
        {
            "environment": Environment(name="PixelCorridor"),
            "model": CNN(filters=(8,), units=(32,)),
        },
    ],
    ids=["dqn", "dueling", "prioritized", "categorical", "quantile", "noisy", "q_linear", "cnn"],
)
def test_the_values_of_a_corridor_are_learned(changes, monkeypatch):
    """Actions are random, so that only the right updates lead to the values of the best ones."""
    made = task(dataclasses.replace(CORRIDOR, **changes), monkeypatch)
    made.advance(200)
    environment = made.collectors[0].environment._environment
    found = made.agent.q_values(environment.observe(tf.range(1.0, CELLS - 1.0)))
    expected = optimal_values()
    assert 0.2 < expected.min() < expected.max() == 1.0
    np.testing.assert_allclose(found, expected, atol=0.07)


def munchausen_values(alpha, temperature, clip):
    """The fixed point of the Munchausen operator on the inner cells, `[CELLS - 2, 2]`."""
    q = np.zeros([CELLS, 2])
    for _ in range(500):
        maximum = q.max(axis=1, keepdims=True)
        normalizer = np.log(np.exp((q - maximum) / temperature).sum(axis=1, keepdims=True))
        log_policy = q - maximum - temperature * normalizer
        policy = np.exp(log_policy / temperature)
        value = (policy * (q - log_policy)).sum(axis=1)
        bonus = alpha * np.maximum(log_policy, clip)
        after = np.stack([value[:-2], value[2:]], axis=1)
        reward, discount = np.zeros([CELLS - 2, 2]), np.full([CELLS - 2, 2], DISCOUNT)
        (reward[0, 0], reward[-1, 1]), discount[0, 0], discount[-1, 1] = (0.5, 1.0), 0.0, 0.0
        q[1:-1] = reward + bonus[1:-1] + discount * after
    return q[1:-1]


def test_the_munchausen_values_of_a_corridor_are_learned(monkeypatch):
    agent = dqn(
        munchausen=True, munchausen_alpha=0.7, munchausen_temperature=0.2, munchausen_clip=-0.4
    )
    made = task(dataclasses.replace(CORRIDOR, agent=agent), monkeypatch)
    made.advance(300)
    environment = made.collectors[0].environment._environment
    found = made.agent.q_values(environment.observe(tf.range(1.0, CELLS - 1.0)))
    expected = munchausen_values(0.7, 0.2, -0.4)
    # The operator moves the values by more than the tolerance.
    assert np.abs(expected - optimal_values()).max() > 0.2
    np.testing.assert_allclose(found, expected, atol=0.07)


@pytest.mark.parametrize(
    ("agent", "batch_size"),
    [
        (PPO(discount=DISCOUNT, epochs=4, entropy_weight=0.01), 128),
        (Reinforce(discount=DISCOUNT, entropy_weight=0.01), 0),
        (Reinforce(discount=DISCOUNT, baseline=False, entropy_weight=0.01), 0),
    ],
    ids=["ppo", "reinforce", "without baseline"],
)
def test_the_policy_of_a_corridor_is_learned(agent, batch_size, monkeypatch):
    """The nearer end is worth less: the discount decides where to turn."""
    config = dataclasses.replace(
        CORRIDOR,
        agent=agent,
        optimizer=Adam(learning_rate=1e-2),
        train=TrainRL(steps=1, num_envs=16, collect_steps=32, global_batch_size=batch_size),
    )
    made = task(config, monkeypatch)
    made.advance(60)
    environment = made.collectors[0].environment._environment
    observation = environment.observe(tf.range(1.0, CELLS - 1.0))
    expected = optimal_values()
    assert set(expected.argmax(axis=1)) == {0, 1}
    found = made.agent.distribution(observation)
    np.testing.assert_array_equal(found.mode(), expected.argmax(axis=1))
    if getattr(agent, "baseline", True):
        # Of a policy that still explores.
        np.testing.assert_allclose(made.agent.value(observation), expected.max(axis=1), atol=0.12)


def test_cart_pole_is_learned(monkeypatch):
    """Balancing for 100 steps takes a right target, discount and sign: about 9 at random."""
    config = ReinforcementLearning(
        environment=Environment(name="CartPole-v1", time_limit=100),
        model=MLP(units=(64,)),
        agent=DQN(
            double=True,
            discount=0.95,
            n_step=3,
            target_update_period=100,
            exploration=EpsilonGreedy(epsilon_decay_steps=3000),
            replay=UniformReplay(capacity=10_000, min_size=500),
        ),
        optimizer=Adam(learning_rate=1e-3),
        train=TrainRL(steps=10_000, num_envs=8, gradient_steps=4, global_batch_size=64),
    )
    made = task(config, monkeypatch)
    made.advance(1250)
    figures = made.evaluator.evaluate_final()
    assert figures["return_mean"] > 80
    # Q means what it says: the first value is near the return that follows.
    assert abs(figures["q_first_mean"] - figures["discounted_return_mean"]) < 6
