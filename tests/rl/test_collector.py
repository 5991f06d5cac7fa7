"""What the replay holds against what the environments did, episodes' borders included."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import (
    DQN,
    MLP,
    Environment,
    EpsilonGreedy,
    ReinforcementLearning,
    TrainRL,
    UniformReplay,
)
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.rl.envs import cart_pole
from trainer.rl.task import ReinforcementLearningTask

GAMMA, ENVIRONMENTS, LIMIT, STEPS = 0.5, 4, 15, 200


def collect(backend="tensorflow", n_step=1, **exploration):
    """A task that has acted but not learned, and its transitions `[steps, environments, ...]`."""
    config = ReinforcementLearning(
        environment=Environment(time_limit=LIMIT, backend=backend),
        model=MLP(units=(4,)),
        agent=DQN(
            discount=GAMMA,
            n_step=n_step,
            exploration=EpsilonGreedy(**exploration),
            replay=UniformReplay(capacity=2000, min_size=2000),
        ),
        train=TrainRL(
            num_envs=ENVIRONMENTS, collect_steps=2, gradient_steps=1, global_batch_size=8
        ),
    )
    distribution_config = DistributionConfig(strategy="cpu", precision="float32", jit="off")
    task = ReinforcementLearningTask(config, distribution.create(distribution_config))
    task.start(0)
    task.advance(STEPS // 2)
    ring = task.learning.replays[0]._ring
    fields = ring.read(tf.range(ring.size()))
    rows = (field.numpy().reshape(-1, ENVIRONMENTS, *field.shape[1:]) for field in fields)
    return task, type(fields)(*rows)


def ends(steps):
    """Whether the pole fell, and whether the limit was reached, `[steps, environments]` each."""
    position, _, angle, _ = np.moveaxis(np.abs(steps.next_observation), -1, 0)
    fallen = (position > cart_pole.MAX_POSITION) | (angle > cart_pole.MAX_ANGLE)
    cut, length = np.zeros_like(fallen), np.zeros(ENVIRONMENTS)
    for t in range(STEPS):
        length += 1
        cut[t] = length == LIMIT
        length[fallen[t] | cut[t]] = 0
    return fallen, cut


@pytest.mark.parametrize("backend", ["tensorflow", "gymnasium"])
def test_transitions_are_what_happened(backend):
    _, steps = collect(backend, epsilon_final=1.0)
    fallen, cut = ends(steps)
    # The discount is 0 on termination only: a truncation bootstraps.
    assert (cut & ~fallen).sum() > 10
    assert (fallen & ~cut).sum() > 10
    np.testing.assert_array_equal(steps.discount, np.where(fallen, 0.0, GAMMA))
    np.testing.assert_array_equal(steps.reward, 1.0)
    follows = (steps.next_observation[:-1] == steps.observation[1:]).all(axis=-1)
    np.testing.assert_array_equal(follows, ~(fallen | cut)[:-1])
    begun = steps.observation[1:][(fallen | cut)[:-1]]
    assert np.abs(begun).max() <= 0.05
    assert set(steps.action.flat) == {0, 1}

    n = 3
    _, sums = collect(backend, epsilon_final=1.0, n_step=n)
    assert len(sums.reward) == STEPS - n + 1
    for t, e in np.ndindex(STEPS - n + 1, ENVIRONMENTS):
        total, discount, last = 0.0, 1.0, t
        for last in range(t, t + n):
            total += discount * steps.reward[last, e]
            discount *= 0.0 if fallen[last, e] else GAMMA
            if fallen[last, e] or cut[last, e]:
                break
        assert (sums.reward[t, e], sums.discount[t, e]) == (total, discount)
        np.testing.assert_array_equal(sums.observation[t, e], steps.observation[t, e])
        np.testing.assert_array_equal(sums.next_observation[t, e], steps.next_observation[last, e])
        assert sums.action[t, e] == steps.action[t, e]


def test_without_epsilon_every_action_is_greedy():
    task, steps = collect(epsilon_initial=0.0, epsilon_final=0.0)
    greedy = tf.argmax(task.agent.q_values(tf.constant(steps.observation.reshape(-1, 4))), -1)
    np.testing.assert_array_equal(steps.action.reshape(-1), greedy)
    assert set(steps.action.flat) == {0, 1}


@pytest.mark.parametrize(("decay", "expected"), [(1600, 0.6), (800, 0.2), (100, 0.2)])
def test_epsilon_falls_with_the_steps_of_all_environments(decay, expected):
    task, _ = collect(epsilon_initial=1.0, epsilon_final=0.2, epsilon_decay_steps=decay)
    assert task.metrics()["epsilon"] == pytest.approx(expected)


def test_new_episodes_truncate_the_old_ones():
    task, _ = collect(epsilon_initial=1.0, epsilon_final=1.0, n_step=3)
    (replay,), (collector,) = task.learning.replays, task.collectors
    recent = tf.nest.map_structure(lambda variable: variable.numpy(), replay._n_step._recent)
    for state in task._python_states:
        state.why_lost = "lost"
    task.start(0)
    carry, _ = collector._read_state()
    assert np.abs(collector.environment.observe(carry)).max() <= 0.05

    size = int(replay.size())
    task.advance(1)
    # The transitions that started with the last two steps of the old episodes.
    ring = replay._ring
    second, last = (ring.read(tf.range(first, first + 4)) for first in (size, size + 4))
    np.testing.assert_array_equal(last.reward, 1.0)
    np.testing.assert_array_equal(last.discount, recent.discount[1])
    np.testing.assert_array_equal(last.next_observation, recent.next_observation[1])
    over = recent.ended[0]
    assert not over.all()
    np.testing.assert_array_equal(second.reward, np.where(over, 1.0, 1.0 + GAMMA))
    np.testing.assert_array_equal(
        second.next_observation,
        np.where(over[:, None], recent.next_observation[0], recent.next_observation[1]),
    )


def test_episode_statistics_are_those_of_the_steps():
    task, steps = collect(epsilon_final=1.0)
    fallen, cut = ends(steps)
    lengths = []
    for environment in range(ENVIRONMENTS):
        last = np.flatnonzero((fallen | cut)[:, environment])
        lengths += np.diff([-1, *last]).tolist()
    metrics = task.metrics()
    assert metrics["episodes"] == len(lengths)
    # CartPole's reward is 1 per step.
    np.testing.assert_allclose(metrics["return_mean"], np.mean(lengths))
    np.testing.assert_allclose(metrics["return_std"], np.std(lengths))
    np.testing.assert_allclose(metrics["length_mean"], np.mean(lengths))
    np.testing.assert_allclose(metrics["replay_fill"], STEPS * ENVIRONMENTS / 2000)
