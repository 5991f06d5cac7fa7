"""Losses of policies against NumPy, and against those of TF-Agents."""

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.rl.agents import policy_gradient
from trainer.rl.agents.action_distributions import Categorical

RANDOM = np.random.default_rng(0)
BATCH, ACTIONS, FEATURES = 32, 3, 4
LOGITS, OLD_LOGITS = (RANDOM.normal(size=(BATCH, ACTIONS)).astype(np.float32) for _ in range(2))
ACTION = RANDOM.integers(0, ACTIONS, BATCH).astype(np.int32)
ADVANTAGE = RANDOM.normal(size=BATCH).astype(np.float32)


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def log_prob(logits):
    return log_softmax(logits)[np.arange(BATCH), ACTION]


def test_the_gradient_is_that_of_the_formula():
    """∇_logits −log π(a|s) A = (π − 1_a) A."""
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        log_pi_a = Categorical(logits).log_prob(tf.constant(ACTION))
        loss = policy_gradient.policy_gradient_loss(log_pi_a, tf.constant(ADVANTAGE))
    np.testing.assert_allclose(loss, -log_prob(LOGITS) * ADVANTAGE, rtol=1e-4)
    expected = (np.exp(log_softmax(LOGITS)) - np.eye(ACTIONS)[ACTION]) * ADVANTAGE[:, None]
    np.testing.assert_allclose(tape.gradient(loss, logits), expected, rtol=1e-4, atol=1e-6)


def test_the_clipped_loss_equals_equation_7():
    ratio = np.exp(log_prob(LOGITS) - log_prob(OLD_LOGITS))
    assert (ratio < 0.8).any()
    assert (ratio > 1.2).any()
    expected = [
        -min(r * a, np.clip(r, 0.8, 1.2) * a) for r, a in zip(ratio, ADVANTAGE, strict=True)
    ]
    found = policy_gradient.clipped_surrogate_loss(
        tf.constant(log_prob(LOGITS)), tf.constant(log_prob(OLD_LOGITS)), ADVANTAGE, 0.2
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("clip_range", [0.0, 0.3])
def test_the_value_loss_equals_its_definition(clip_range):
    v, v_old, g = RANDOM.normal(size=(3, BATCH)).astype(np.float32)
    expected = 0.5 * (v - g) ** 2
    if clip_range:
        near = np.clip(v, v_old - clip_range, v_old + clip_range)
        expected = np.maximum(expected, 0.5 * (near - g) ** 2)
    found = policy_gradient.value_loss(v, v_old, g, clip_range)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_approximate_divergence_has_the_right_mean():
    """Of actions that the old policy draws, and it is never negative."""
    old, new = (tf.constant(each[:1]) for each in (OLD_LOGITS, LOGITS))
    p = np.exp(log_softmax(old.numpy()))[0]
    log_pi, log_pi_old = log_softmax(new.numpy())[0], log_softmax(old.numpy())[0]
    each = policy_gradient.approximate_kl(log_pi, log_pi_old).numpy()
    assert each.min() >= 0
    np.testing.assert_allclose((p * each).sum(), (p * (log_pi_old - log_pi)).sum(), rtol=1e-4)


def tf_agents_specs():
    from tf_agents.specs import BoundedTensorSpec
    from tf_agents.trajectories import time_step_spec

    observation = tf.TensorSpec((FEATURES,), tf.float32, "observation")
    return time_step_spec(observation), BoundedTensorSpec((), tf.int32, 0, ACTIONS - 1, "action")


def tf_agents_actor(specs):
    import tensorflow_probability as tfp
    from tf_agents.networks.sequential import Sequential

    head = keras.layers.Lambda(lambda logits: tfp.distributions.Categorical(logits=logits))
    return Sequential([keras.layers.Dense(ACTIONS), head], input_spec=specs[0].observation)


def test_the_clipped_loss_equals_that_of_tf_agents():
    import tensorflow_probability as tfp
    from tf_agents.agents.ppo.ppo_clip_agent import PPOClipAgent
    from tf_agents.networks.sequential import Sequential
    from tf_agents.trajectories import time_step

    specs = tf_agents_specs()
    value = Sequential([keras.layers.Dense(1)], input_spec=specs[0].observation)
    agent = PPOClipAgent(
        *specs, keras.optimizers.Adam(), tf_agents_actor(specs), value,
        importance_ratio_clipping=0.2, normalize_observations=False,
    )  # fmt: skip
    distribution = tfp.distributions.Categorical(logits=LOGITS)
    steps = time_step.restart(tf.zeros([BATCH, FEATURES]), BATCH)
    theirs = agent.policy_gradient_loss(
        steps, tf.constant(ACTION), tf.constant(log_prob(OLD_LOGITS)), tf.constant(ADVANTAGE),
        distribution, tf.ones([BATCH]),
    )  # fmt: skip
    ours = policy_gradient.clipped_surrogate_loss(
        Categorical(tf.constant(LOGITS)).log_prob(tf.constant(ACTION)),
        tf.constant(log_prob(OLD_LOGITS)), tf.constant(ADVANTAGE), 0.2,
    )  # fmt: skip
    np.testing.assert_allclose(tf.reduce_mean(ours), theirs, rtol=1e-4)


def test_the_policy_gradient_loss_equals_that_of_tf_agents():
    """Which divides the sum by the number of episodes."""
    import tensorflow_probability as tfp
    from tf_agents.agents.reinforce.reinforce_agent import ReinforceAgent

    specs = tf_agents_specs()
    agent = ReinforceAgent(
        *specs, tf_agents_actor(specs), keras.optimizers.Adam(), normalize_returns=False
    )
    theirs = agent.policy_gradient_loss(
        tfp.distributions.Categorical(logits=LOGITS[None]), tf.constant(ACTION[None]),
        tf.zeros([1, BATCH], tf.bool), tf.constant(ADVANTAGE[None]), 1,
    )  # fmt: skip
    ours = policy_gradient.policy_gradient_loss(
        Categorical(tf.constant(LOGITS)).log_prob(tf.constant(ACTION)), tf.constant(ADVANTAGE)
    )
    np.testing.assert_allclose(tf.reduce_sum(ours), theirs, rtol=1e-4)
