"""Targets, losses and updates against independent NumPy computations."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config.rl import C51, DQN, DoubleDQN, Dueling, QLinear, ReinforcementLearning
from trainer.config.sections import CNN, MLP, SGD, Linear
from trainer.errors import UserError
from trainer.rl.agents.dqn import QAgent
from trainer.rl.experience.n_step import Transition

RANDOM = np.random.default_rng(0)
BATCH, ACTIONS, FEATURES = 16, 3, 4


def make(agent, model=None, **options):
    config = ReinforcementLearning(
        agent=agent, model=model or MLP(units=(8,), activation="tanh"), **options
    )
    return QAgent(config, (FEATURES,), tf.float32, ACTIONS, total_updates=100)


def batch():
    return Transition(
        tf.constant(RANDOM.normal(size=(BATCH, FEATURES)), tf.float32),
        tf.constant(RANDOM.integers(0, ACTIONS, BATCH), tf.int32),
        tf.constant(RANDOM.normal(size=BATCH) * 2, tf.float32),
        tf.constant(RANDOM.choice([0.0, 0.9, 0.81], BATCH), tf.float32),
        tf.constant(RANDOM.normal(size=(BATCH, FEATURES)), tf.float32),
    )


def separate(agent):
    """Gives the target network weights of its own, as after many updates."""
    for variable in agent._target_network.variables:
        variable.assign(RANDOM.normal(size=variable.shape) * 0.5)
    return agent


def numpy_q(network, observation):
    weights = [variable.numpy().astype(np.float64) for variable in network.variables]
    hidden = np.tanh(observation @ weights[0] + weights[1])
    return hidden @ weights[2] + weights[3]


@pytest.mark.parametrize(
    ("section", "is_double"), [(DQN(), False), (DoubleDQN(), True)], ids=["dqn", "double_dqn"]
)
@pytest.mark.parametrize("loss", ["huber", "squared"])
def test_targets(section, is_double, loss):
    agent = separate(make(type(section)(loss=loss)))
    transitions = batch()
    q_tm1 = numpy_q(agent._network, transitions.observation.numpy())
    q_t = numpy_q(agent._target_network, transitions.next_observation.numpy())
    chooser = numpy_q(agent._network, transitions.next_observation.numpy()) if is_double else q_t
    each = np.arange(BATCH)
    target = transitions.reward + transitions.discount * q_t[each, chooser.argmax(axis=1)]
    error = np.asarray(target) - q_tm1[each, transitions.action.numpy()]
    squared = 0.5 * error**2
    huber = np.where(np.abs(error) <= 1, squared, np.abs(error) - 0.5)

    result = agent.loss(transitions)
    np.testing.assert_allclose(result.td_error, error, rtol=1e-4, atol=1e-5)
    expected = huber if loss == "huber" else squared
    np.testing.assert_allclose(result.loss, expected, rtol=1e-4, atol=1e-5)


def test_c51_projects_as_algorithm_1_does():
    agent = separate(make(C51(atoms=11, v_min=-2.0, v_max=3.0)))
    transitions = batch()
    support = np.linspace(-2, 3, 11)
    step = 0.5

    def softmax(x):
        return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)

    def distribution(network, observation):
        return softmax(numpy_q(network, observation).reshape(BATCH, ACTIONS, 11))

    following = distribution(agent._target_network, transitions.next_observation.numpy())
    best = (following @ support).argmax(axis=1)
    target = np.zeros((BATCH, 11))
    for i in range(BATCH):
        for j in range(11):
            moved = float(transitions.reward[i] + transitions.discount[i] * support[j])
            place = (min(max(moved, -2.0), 3.0) + 2.0) / step
            low, high = int(np.floor(place)), int(np.ceil(place))
            mass = following[i, best[i], j]
            if low == high:
                target[i, low] += mass
            else:
                target[i, low] += mass * (high - place)
                target[i, high] += mass * (place - low)
    np.testing.assert_allclose(target.sum(axis=1), 1)
    predicted = distribution(agent._network, transitions.observation.numpy())
    predicted = predicted[np.arange(BATCH), transitions.action.numpy()]
    expected = -(target * np.log(predicted)).sum(axis=1)
    np.testing.assert_allclose(agent.loss(transitions).loss, expected, rtol=1e-4)
    values = distribution(agent._network, transitions.observation.numpy()) @ support
    np.testing.assert_allclose(
        agent.q_values(transitions.observation), values, rtol=1e-3, atol=1e-5
    )


def test_a_dueling_head_has_advantages_of_mean_zero():
    agent = make(Dueling())
    observation = batch().observation
    head = agent._network.layers[-1]
    weights = [variable.numpy() for variable in agent._network.variables]
    hidden = np.tanh(observation @ weights[0] + weights[1])
    value = hidden @ head._value.kernel.numpy() + head._value.bias.numpy()
    advantage = hidden @ head._advantage.kernel.numpy() + head._advantage.bias.numpy()
    expected = value + advantage - advantage.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(agent.q_values(observation), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ended", [False, True])
def test_q_linear_is_the_documents_update(ended):
    """Q(s, a) ← (1 − α) Q(s, a) + α (r + γ max Q(s', a')) along W·s + b."""
    alpha, gamma = 0.1, 0.9
    agent = make(QLinear(alpha=alpha, discount=gamma), Linear())
    transition = Transition(
        tf.constant([[1.0, 0.0, 0.0, 0.0]]),
        tf.constant([2]),
        tf.constant([3.0]),
        tf.constant([0.0 if ended else gamma]),
        tf.constant([[0.3, -0.2, 0.5, 1.0]]),
    )
    before = agent.q_values(transition.observation).numpy()[0]
    best_next = agent.q_values(transition.next_observation).numpy().max()
    gradients, _ = agent.gradients(transition, tf.ones([1]), 1)
    agent.apply(gradients)
    after = agent.q_values(transition.observation).numpy()[0]
    target = 3.0 + (0.0 if ended else gamma * best_next)
    # The kernel's row and the bias both move: |s|² + 1 = 2 times the step.
    expected = before[2] + 2 * alpha * (target - before[2])
    np.testing.assert_allclose(after[2], expected, rtol=1e-5)
    np.testing.assert_array_equal(after[:2], before[:2])
    # In W and b themselves the rule is exact: each moves by α (target − Q) times its input.
    kernel, bias = agent.trainable
    np.testing.assert_allclose(bias.numpy()[2], alpha * (target - before[2]), rtol=1e-5)
    # The next target is made of the weights just moved.
    np.testing.assert_array_equal(agent._target_network.variables[0], kernel)


def test_weights_scale_the_gradients():
    for section in (DQN(), C51()):
        agent = make(section)
        transitions = batch()
        weights = tf.constant(RANDOM.uniform(0, 1, BATCH), tf.float32)
        weighted, _ = agent.gradients(transitions, weights, BATCH)
        total = [np.zeros(variable.shape) for variable in agent.trainable]
        for i in range(BATCH):
            one = tf.nest.map_structure(lambda field, i=i: field[i : i + 1], transitions)
            gradients, _ = agent.gradients(one, tf.ones([1]), BATCH)
            total = [
                a + float(weights[i]) * b.numpy() for a, b in zip(total, gradients, strict=True)
            ]
        for a, b in zip(weighted, total, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_the_target_network_moves_when_it_is_due():
    agent = make(
        DQN(target_update_period=3, target_update_tau=0.25), optimizer=SGD(learning_rate=0.1)
    )
    target = agent._target_network.variables[0]
    start = target.numpy()
    for update in range(1, 7):
        gradients, _ = agent.gradients(batch(), tf.ones([BATCH]), BATCH)
        agent.apply(gradients)
        if update % 3:
            np.testing.assert_array_equal(target, start)
        else:
            moved = start + 0.25 * (agent._network.variables[0].numpy() - start)
            np.testing.assert_allclose(target, moved, rtol=1e-5, atol=1e-7)
            start = target.numpy()


def test_tf_agents_own_policy_acts_the_same():
    for section in (DQN(), C51(), Dueling()):
        agent = make(section)
        observation = batch().observation
        from tf_agents.trajectories import time_step

        step = agent.tf_agent.policy.action(time_step.restart(observation, BATCH))
        mine = agent.greedy(observation)
        np.testing.assert_array_equal(step.action, mine)


def test_pixels_are_scaled_in_the_network():
    config = ReinforcementLearning(model=CNN(filters=(4,), units=(8,)))
    agent = QAgent(config, (8, 8, 1), tf.uint8, 3, 100)
    bright = agent.q_values(tf.fill([1, 8, 8, 1], tf.constant(255, tf.uint8)))
    network = agent._network.layers[1:]
    value = tf.ones([1, 8, 8, 1])
    for layer in network:
        value = layer(value)
    np.testing.assert_allclose(bright, value, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model": MLP(dropout=0.1)}, r"model\.dropout must be 0"),
        ({"model": MLP(), "agent": QLinear()}, "takes model.kind 'linear'"),
        ({"model": CNN()}, "needs images"),
    ],
)
def test_networks_that_cannot_be(options, expected):
    with pytest.raises(UserError, match=expected):
        make(options.pop("agent", DQN()), **options)
