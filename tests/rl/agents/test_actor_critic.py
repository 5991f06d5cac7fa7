"""What `ppo` and `reinforce` share, and their losses against NumPy."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import CNN, MLP, PPO, Environment, Reinforce, ReinforcementLearning
from trainer.engine import distribution
from trainer.rl.agents import base
from trainer.rl.agents.actor_critic import Rollout
from trainer.rl.experience.steps import Steps
from trainer.rl.specs import Box, Discrete, EnvironmentSpec

RANDOM = np.random.default_rng(0)
STEPS, ENVS, ACTIONS, FEATURES, GAMMA = 5, 3, 2, 4, 0.9
DISCRETE = EnvironmentSpec((FEATURES,), tf.float32, Discrete(ACTIONS))
CONTINUOUS = EnvironmentSpec((FEATURES,), tf.float32, Box((-2.0, 0.0), (2.0, 1.0)))


def make(agent, spec=DISCRETE, model=None):
    model = model or MLP(units=(8,), activation="tanh")
    made = base.build(ReinforcementLearning(agent=agent, model=model), spec)
    # The head of the policy is small at first, which would hide its errors.
    for variable in made.trainable_variables:
        if variable.shape.rank == 2:
            variable.assign(RANDOM.normal(size=variable.shape) * 0.7)
    return made


def random(*shape):
    return tf.constant(RANDOM.normal(size=shape), tf.float32)


def steps(spec=DISCRETE):
    ended = RANDOM.random((STEPS, ENVS)) < 0.3
    terminated = ended & (RANDOM.random((STEPS, ENVS)) < 0.5)
    if spec is DISCRETE:
        latent = tf.constant(RANDOM.integers(0, ACTIONS, (STEPS, ENVS)), tf.int32)
    else:
        latent = random(STEPS, ENVS, ACTIONS)
    observation = random(STEPS + 1, ENVS, FEATURES)
    # An episode continues with the observation that the last action led to.
    last = tf.constant(ended)[..., None]
    following = tf.where(last, random(STEPS, ENVS, FEATURES), observation[1:])
    return Steps(
        observation[:-1], latent, random(STEPS, ENVS),
        tf.constant(GAMMA * ~terminated, tf.float32), tf.constant(ended),
        following, latent,
    )  # fmt: skip


def flat(rollout):
    return tf.nest.map_structure(lambda x: tf.reshape(x, [-1, *x.shape[2:]]), rollout)


def numpy_network(network, observation):
    weights = [variable.numpy().astype(np.float64) for variable in network.variables]
    return np.tanh(observation @ weights[0] + weights[1]) @ weights[2] + weights[3]


def numpy_log_prob(agent, batch, spec):
    output = numpy_network(agent._policy_network, batch.observation.numpy())
    if spec is DISCRETE:
        log_pi = output - np.log(np.exp(output).sum(axis=1, keepdims=True))
        return log_pi[np.arange(len(output)), batch.latent.numpy()]
    log_std = agent._log_std.numpy()
    z = (batch.latent.numpy() - output) / np.exp(log_std)
    return (-0.5 * z**2 - log_std - 0.5 * np.log(2 * np.pi)).sum(axis=1)


@pytest.mark.parametrize("spec", [DISCRETE, CONTINUOUS], ids=["discrete", "continuous"])
def test_the_loss_of_ppo_equals_a_numpy_computation(spec):
    section = PPO(clip_range=0.3, value_clip_range=0.4, value_weight=0.7, entropy_weight=0.01)
    agent, size = make(section, spec), STEPS * ENVS
    taken = steps(spec)
    batch = flat(
        Rollout(
            taken.observation, taken.extras, random(STEPS, ENVS), random(STEPS, ENVS),
            random(STEPS, ENVS), random(STEPS, ENVS),
        )
    )  # fmt: skip
    log_prob = numpy_log_prob(agent, batch, spec)
    old = tf.constant(log_prob + 0.4 * RANDOM.normal(size=size), tf.float32)
    batch = batch._replace(log_pi_old_a=old)
    _, _, old, v_old, advantage, return_ = (field.numpy() for field in batch)
    ratio = np.exp(log_prob - old)
    policy = -np.minimum(ratio * advantage, np.clip(ratio, 0.7, 1.3) * advantage)
    value = numpy_network(agent._value_network, batch.observation.numpy())[:, 0]
    near = np.clip(value, v_old - 0.4, v_old + 0.4)
    value_loss = 0.5 * np.maximum((value - return_) ** 2, (near - return_) ** 2)
    found = agent.loss(batch, tf.constant([0, 0]))
    entropy = agent.distribution(batch.observation).entropy()
    np.testing.assert_allclose(found.figures["policy_loss"], policy, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.figures["value_loss"], value_loss, rtol=1e-3, atol=1e-4)
    expected = policy + 0.7 * value_loss - 0.01 * entropy
    np.testing.assert_allclose(found.per_example, expected, rtol=1e-3, atol=1e-4)
    outside = np.abs(ratio - 1) > 0.3
    np.testing.assert_array_equal(found.figures["clip_fraction"], outside)
    assert 0 < outside.sum() < size


@pytest.mark.parametrize("baseline", [True, False])
def test_the_gradient_of_reinforce_equals_the_formula(baseline):
    """Σ ∇ log π(a_t|s_t) (G_t − V(s_t)), with ∇ by differences of a NumPy network."""
    agent = make(Reinforce(baseline=baseline, normalize_advantages=False, discount=GAMMA))
    taken = steps()
    rollout, weights = agent.rollout(taken)
    batch, weight = flat(rollout), weights.numpy().reshape(-1)
    reward, discount, ended = (each.numpy() for each in (taken.reward, taken.discount, taken.ended))
    shape = (STEPS, ENVS)

    def value(observation):
        if not baseline:
            return np.zeros(shape)
        flat_values = numpy_network(agent._value_network, observation.numpy().reshape(-1, FEATURES))
        return flat_values.reshape(shape)

    v_tm1, v_t = value(taken.observation), value(taken.next_observation)
    returns, known = np.zeros(shape), np.zeros(shape)
    following, is_known = v_t[-1], np.zeros(ENVS, bool)
    for t in reversed(range(STEPS)):
        following = np.where(ended[t] | (t == STEPS - 1), v_t[t], following)
        following = returns[t] = reward[t] + discount[t] * following
        is_known = known[t] = is_known | ended[t]
    np.testing.assert_allclose(rollout.return_, returns, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(weights, np.ones(shape) if baseline else known)

    kernel = agent._policy_network.trainable_variables[0]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(agent.loss(batch, tf.constant([0, 0])).figures["policy_loss"] * weight)
    found = tape.gradient(loss, kernel).numpy()
    advantage = (returns - v_tm1).reshape(-1) * weight

    def objective(place, change):
        start = kernel.numpy()
        moved = start.copy()
        moved[place] += change
        kernel.assign(moved)
        total = (numpy_log_prob(agent, batch, DISCRETE) * advantage).sum()
        kernel.assign(start)
        return total

    for place in ((0, 0), (1, 3), (3, 7)):
        slope = (objective(place, 1e-2) - objective(place, -1e-2)) / 2e-2
        np.testing.assert_allclose(-found[place], slope, rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("shared", [False, True])
def test_policy_and_values_share_a_network_if_asked_to(shared):
    agent = make(PPO(shared_network=shared))
    # Two networks have two hidden layers, each a kernel and a bias.
    assert len(agent.trainable_variables) == (6 if shared else 8)
    assert len({each.ref() for each in agent.trainable_variables}) == len(agent.trainable_variables)


def test_orthogonal_kernels_and_a_small_head():
    agent = base.build(ReinforcementLearning(agent=PPO(), model=MLP(units=(8,))), DISCRETE)
    kernel, _, head, _ = agent._policy_network.trainable_variables
    product = kernel.numpy() @ kernel.numpy().T
    np.testing.assert_allclose(product, 2 * np.eye(FEATURES), atol=1e-4)
    assert np.abs(head).max() < 0.02


def test_actions_are_within_the_bounds_and_the_mode_is_greedy():
    agent = make(PPO(log_std_initial=1.0), CONTINUOUS)
    observation = random(64, FEATURES)
    action, _, latent = agent.act(observation, (), tf.constant([1, 2]), explore=True)
    assert latent.shape == action.shape == (64, 2)
    assert (np.abs(action[:, 0]) <= 2).all()
    assert (action[:, 1] >= 0).numpy().all()
    greedy, _, extras = agent.act(observation, (), tf.constant([1, 2]), explore=False)
    mean = numpy_network(agent._policy_network, observation.numpy())
    expected = np.stack([2 * np.tanh(mean[:, 0]), (np.tanh(mean[:, 1]) + 1) / 2], axis=1)
    np.testing.assert_allclose(greedy, expected, rtol=1e-3, atol=1e-4)
    assert extras == ()


def test_observations_are_normalized_by_those_of_earlier_rollouts():
    agent = make(PPO(normalize_observations=True))
    taken = steps()
    taken = taken._replace(observation=5 + 10 * taken.observation)
    before = agent.value(taken.observation[0])
    agent.after_rollout(taken)
    assert np.abs(agent.value(taken.observation[0]) - before).max() > 1e-3
    observations = taken.observation.numpy().reshape(-1, FEATURES)
    normalized = (observations - observations.mean(axis=0)) / observations.std(axis=0)
    expected = numpy_network(agent._value_network, normalized)[:, 0]
    np.testing.assert_allclose(agent.value(observations), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(not distribution.xla_compiles_for_cpus(), reason="this build has no XLA")
@pytest.mark.parametrize("section", [PPO(), Reinforce(baseline=False)], ids=["ppo", "reinforce"])
def test_a_rollout_compiles_to_the_same(section):
    agent, taken = make(section), steps()
    eager = agent.rollout(taken)
    compiled = tf.function(agent.rollout, jit_compile=True)(taken)
    for one, other in zip(tf.nest.flatten(eager), tf.nest.flatten(compiled), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_pixels():
    spec = EnvironmentSpec((8, 8, 1), tf.uint8, Discrete(3))
    model = CNN(filters=(2,), units=(4,))
    config = ReinforcementLearning(
        agent=PPO(shared_network=True), model=model, environment=Environment(name="Catch-v0")
    )
    agent = base.build(config, spec)
    pixels = tf.constant(RANDOM.integers(0, 255, (5, 8, 8, 1)), tf.uint8)
    assert agent.distribution(pixels).logits.shape == (5, 3)
    assert agent.value(pixels).shape == (5,)
