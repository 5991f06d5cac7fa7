"""Updates against the founding document's rule and independent computations."""

import dataclasses

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import (
    DQN,
    MLP,
    SGD,
    Adam,
    Linear,
    LinearSchedule,
    QLinear,
    ReinforcementLearning,
)
from trainer.engine import distribution
from trainer.rl.agents import base
from trainer.rl.agents.dqn import DQNAgent
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


def mirrored(replicas):
    """Replicas on the CPU, which TensorFlow's default reduction confuses with earlier ones."""
    return tf.distribute.MirroredStrategy(
        [f"/cpu:{k}" for k in range(replicas)], tf.distribute.ReductionToOneDevice()
    )


def batches(transitions, count=1):
    """Fields `[count * B, ...]` as `[count, B, ...]`."""
    return tf.nest.map_structure(
        lambda field: tf.reshape(field, [count, -1, *field.shape[1:]]), transitions
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
    learner.learn(batches(transition), tf.ones([1, 1]))
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
def test_weights_scale_the_gradients(distribution, replicas):
    """Replicas make the update of one learner with the global batch."""
    strategy = mirrored(replicas)
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
    normalized = weights / tf.reduce_max(weights)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(agent.loss(transitions, SEED).per_example * normalized) / BATCH
    gradients = tape.gradient(loss, agent.trainable_variables)

    def learn():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        share = tf.nest.map_structure(
            lambda field: tf.stack(tf.split(field, replicas))[number], (transitions, normalized)
        )
        learner.learn(*batches(share))

    tf.function(lambda: strategy.run(learn))()
    for old, gradient, variable in zip(start, gradients, agent.trainable_variables, strict=True):
        np.testing.assert_allclose(variable, old - gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "compiles", [False, True] if distribution.xla_compiles_for_cpus() else [False]
)
def test_sums_and_priorities_of_several_updates(compiles):
    agent, learner = make(DQN(), MLP(units=(8,)), SGD(learning_rate=1e-9), compiles=compiles)
    transitions = batch(3 * BATCH)
    priorities, sums = learner.learn(batches(transitions, 3), tf.ones([3, BATCH]))
    # With a negligible learning rate the three updates see the same weights.
    expected = agent.loss(transitions, SEED)
    np.testing.assert_allclose(
        tf.reshape(priorities, [-1]), expected.priorities, rtol=1e-3, atol=1e-4
    )
    updates, loss, norm, q_mean, td_error = sums.numpy()
    assert updates == 3
    np.testing.assert_allclose(loss / 3, np.mean(expected.per_example), rtol=1e-3)
    np.testing.assert_allclose(q_mean / 3, np.mean(expected.figures["q_mean"]), rtol=1e-2)
    np.testing.assert_allclose(td_error / 3, np.mean(expected.figures["td_error"]), rtol=1e-3)
    assert norm > 0
    assert int(learner.optimizer.iterations) == 3


@pytest.mark.skipif(not distribution.xla_compiles_for_cpus(), reason="this build has no XLA")
@pytest.mark.parametrize("tau", [1.0, 0.3])
@pytest.mark.parametrize("optimizer", [Adam(learning_rate=1e-2, clip_norm=0.05), SGD()])
def test_the_compiled_loop_makes_the_updates_of_variables(tau, optimizer):
    """With a clipped gradient, a schedule, and moves of the target network within the loop."""
    optimizer = dataclasses.replace(optimizer, schedule=LinearSchedule())
    section = DQN(target_update_period=3, target_update_tau=tau, double=True)
    transitions, count = batches(batch(20 * BATCH), 20), 20
    weights = tf.constant(RANDOM.uniform(0.1, 1, (count, BATCH)), tf.float32)
    found = []
    for compiles in (False, True):
        agent, learner = make(section, MLP(units=(8,)), optimizer, compiles=compiles)
        assert learner.is_loop is compiles
        # Twice, so that the second call begins between two moves of the target.
        results = [learner.learn(transitions, weights) for _ in range(2)]
        # SGD has slots that it does not use without momentum.
        slots = [] if isinstance(optimizer, SGD) else learner.optimizer.slots
        found.append((results, agent.variables, slots))
        assert int(learner.optimizer.iterations) == 2 * count
    for one, other in zip(*map(tf.nest.flatten, found), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-5)


def test_an_agent_with_its_own_rule_is_updated_on_variables():
    class Own(DQNAgent):
        def after_update(self, updates):
            super().after_update(updates)

    config = ReinforcementLearning(model=MLP(units=(8,)))
    learner = Learner(
        Own(config, SPEC), SGD(), 100, BATCH, 1, compiles=True, scales_loss=False, seed=0
    )
    assert not learner.is_loop


@pytest.mark.parametrize("replicas", [1, 2])
def test_noise_of_the_loss_differs_between_updates_and_replicas(replicas):
    """The seed is a function of the experiment's, the number of updates and the replica."""
    strategy = mirrored(replicas)
    with strategy.scope():
        _, learner = make(DQN(noisy=True), MLP(units=(8,)), replicas=replicas)
    weights = tf.ones([1, BATCH])

    def current_seeds():
        seed = strategy.run(learner._loss_seed, args=(learner.optimizer.iterations,))
        return [each.numpy() for each in strategy.experimental_local_results(seed)]

    before = current_seeds()
    np.testing.assert_array_equal(before, current_seeds())
    tf.function(lambda: strategy.run(learner.learn, args=(batches(batch()), weights)))()
    assert len({tuple(seed) for seed in (*before, *current_seeds())}) == 2 * replicas
