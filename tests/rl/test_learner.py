"""Updates against the founding document's rule and independent computations."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import DQN, MLP, SGD, Linear, QLinear, ReinforcementLearning
from trainer.engine import distribution
from trainer.rl.agents import base
from trainer.rl.experience.replay import Sample
from trainer.rl.experience.steps import Transition
from trainer.rl.learner import Learner
from trainer.rl.specs import Discrete, EnvironmentSpec

RANDOM = np.random.default_rng(0)
BATCH, ACTIONS, FEATURES = 16, 3, 4
SEED = tf.constant([0, 0])
SPEC = EnvironmentSpec((FEATURES,), tf.float32, Discrete(ACTIONS))


def make(section, model, optimizer=None, batch_size=BATCH, compiles=False, replicas=1):
    config = ReinforcementLearning(agent=section, model=model)
    agent = base.build(config, SPEC)
    optimizer = optimizer or base.optimizer_section(config)
    learner = Learner(
        agent, optimizer, 100, batch_size, replicas, compiles, scales_loss=False, seed=0
    )
    return agent, learner


def sample(transitions, weights=None):
    size = transitions.reward.shape[0]
    return Sample(
        transitions, tf.range(size, dtype=tf.int64), tf.ones([size]) if weights is None else weights
    )


def batch(size=BATCH):
    return Transition(
        tf.constant(RANDOM.normal(size=(size, FEATURES)), tf.float32),
        tf.constant(RANDOM.integers(0, ACTIONS, size), tf.int32),
        tf.constant(RANDOM.normal(size=size) * 2, tf.float32),
        tf.constant(RANDOM.choice([0.0, 0.9, 0.81], size), tf.float32),
        tf.constant(RANDOM.normal(size=(size, FEATURES)), tf.float32),
    )


@pytest.mark.parametrize("ended", [False, True])
def test_q_linear_makes_the_documents_update(ended):
    """Q(s, a) ← (1 − α) Q(s, a) + α (r + γ max Q(s', a')) along W·s + b."""
    alpha, gamma = 0.1, 0.9
    agent, learner = make(QLinear(alpha=alpha, discount=gamma), Linear(), batch_size=1)
    transition = Transition(
        tf.constant([[1.0, 0.0, 0.0, 0.0]]),
        tf.constant([2]),
        tf.constant([3.0]),
        tf.constant([0.0 if ended else gamma]),
        tf.constant([[0.3, -0.2, 0.5, 1.0]]),
    )
    before = agent.q_values(transition.observation).numpy()[0]
    best_next = agent.q_values(transition.next_observation).numpy().max()
    learner.learn(sample(transition), 1)
    after = agent.q_values(transition.observation).numpy()[0]
    target = 3.0 + (0.0 if ended else gamma * best_next)
    # One row of the kernel and the bias change: |s|² + 1 = 2 times the step.
    expected = before[2] + 2 * alpha * (target - before[2])
    np.testing.assert_allclose(after[2], expected, rtol=1e-5)
    np.testing.assert_array_equal(after[:2], before[:2])
    # For W and b themselves the rule is exact: each changes by α (target − Q) times its input.
    kernel, bias = agent.trainable_variables
    np.testing.assert_allclose(bias.numpy()[2], alpha * (target - before[2]), rtol=1e-5)
    # The next target uses the updated weights.
    np.testing.assert_array_equal(agent._target_network.variables[0], kernel)


@pytest.mark.parametrize(
    ("distribution", "replicas"), [("none", 1), ("categorical", 1), ("none", 2)]
)
def test_importance_weights_scale_the_gradients(distribution, replicas):
    """Replicas make the update of one learner with the global batch, whoever drew the largest."""
    strategy = tf.distribute.MirroredStrategy([f"/cpu:{k}" for k in range(replicas)])
    transitions = batch()
    # The first replica's weights are a tenth of the second's.
    weights = RANDOM.uniform(1, 3, BATCH) * np.where(np.arange(BATCH) < BATCH // 2, 1.0, 10.0)
    weights = tf.constant(weights, tf.float32)
    with strategy.scope():
        agent, learner = make(
            DQN(distribution=distribution),
            MLP(units=(8,)),
            SGD(learning_rate=1.0),
            replicas=replicas,
        )
    start = [variable.numpy() for variable in agent.trainable_variables]
    with tf.GradientTape() as tape:
        normalized = weights / tf.reduce_max(weights)
        loss = tf.reduce_sum(agent.loss(transitions, SEED).per_example * normalized) / BATCH
    gradients = tape.gradient(loss, agent.trainable_variables)

    def learn():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        learner.learn(
            tf.nest.map_structure(
                lambda field: tf.stack(tf.split(field, replicas))[number],
                sample(transitions, weights),
            ),
            1,
        )

    tf.function(lambda: strategy.run(learn))()
    for old, gradient, variable in zip(start, gradients, agent.trainable_variables, strict=True):
        np.testing.assert_allclose(variable, old - gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "compiles", [False, True] if distribution.xla_compiles_for_cpus() else [False]
)
def test_sums_and_priorities_of_several_updates(compiles):
    agent, learner = make(DQN(), MLP(units=(8,)), SGD(learning_rate=1e-9), compiles=compiles)
    transitions = batch(3 * BATCH)
    priorities, sums = learner.learn(sample(transitions), 3)
    # With a negligible learning rate the three updates see the same weights.
    expected = agent.loss(transitions, SEED)
    np.testing.assert_allclose(priorities, expected.priorities, rtol=1e-3, atol=1e-4)
    updates, loss, norm, q_mean, td_error = sums.numpy()
    assert updates == 3
    np.testing.assert_allclose(loss / 3, np.mean(expected.per_example), rtol=1e-3)
    np.testing.assert_allclose(q_mean / 3, np.mean(expected.figures["q_mean"]), rtol=1e-2)
    np.testing.assert_allclose(td_error / 3, np.mean(expected.figures["td_error"]), rtol=1e-3)
    assert norm > 0
    assert int(learner.optimizer.iterations) == 3


@pytest.mark.parametrize("replicas", [1, 2])
def test_noise_of_the_loss_differs_between_updates_and_replicas(replicas):
    """The seed is a function of the experiment's, the number of updates and the replica."""
    strategy = tf.distribute.MirroredStrategy([f"/cpu:{k}" for k in range(replicas)])
    with strategy.scope():
        _, learner = make(DQN(noisy=True), MLP(units=(8,)), replicas=replicas)
    transitions = batch()
    seen = [strategy.experimental_local_results(strategy.run(learner._loss_seed)) for _ in range(2)]
    for first, again in zip(*seen, strict=True):
        np.testing.assert_array_equal(first, again)
    tf.function(lambda: strategy.run(learner.learn, args=(sample(transitions), 1)))()
    seeds = [*seen[0], *strategy.experimental_local_results(strategy.run(learner._loss_seed))]
    assert len({tuple(seed.numpy()) for seed in seeds}) == 2 * replicas
