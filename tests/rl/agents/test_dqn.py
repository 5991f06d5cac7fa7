"""Targets, losses and updates against independent NumPy computations."""

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.config import (
    CNN,
    DQN,
    MLP,
    AlexNet,
    EpsilonGreedy,
    QLinear,
    ReinforcementLearning,
    ResNet,
)
from trainer.engine import distribution
from trainer.errors import UserError
from trainer.rl.agents import base
from trainer.rl.experience.steps import Transition
from trainer.rl.specs import Box, Discrete, EnvironmentSpec

RANDOM = np.random.default_rng(0)
BATCH, ACTIONS, FEATURES = 16, 3, 4
SEED = tf.constant([0, 0])
SPEC = EnvironmentSpec((FEATURES,), tf.float32, Discrete(ACTIONS))


def make(agent, model=None, **options):
    config = ReinforcementLearning(
        agent=agent, model=model or MLP(units=(8,), activation="tanh"), **options
    )
    return base.build(config, SPEC)


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


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("loss", ["huber", "squared"])
def test_loss_equals_a_numpy_computation(double, loss):
    agent = separate(make(DQN(double=double, loss=loss)))
    transitions = batch()
    q_tm1 = numpy_q(agent._network, transitions.observation.numpy())
    q_t = numpy_q(agent._target_network, transitions.next_observation.numpy())
    chooser = numpy_q(agent._network, transitions.next_observation.numpy()) if double else q_t
    each = np.arange(BATCH)
    target = transitions.reward + transitions.discount * q_t[each, chooser.argmax(axis=1)]
    error = np.asarray(target) - q_tm1[each, transitions.action.numpy()]
    squared = 0.5 * error**2
    huber = np.where(np.abs(error) <= 1, squared, np.abs(error) - 0.5)

    result = agent.loss(transitions, SEED)
    np.testing.assert_allclose(result.priorities, np.abs(error), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(result.figures["td_error"], np.abs(error), rtol=1e-4, atol=1e-5)
    values = q_tm1[each, transitions.action.numpy()]
    np.testing.assert_allclose(result.figures["q_mean"], values, rtol=1e-4, atol=1e-5)
    expected = huber if loss == "huber" else squared
    np.testing.assert_allclose(result.per_example, expected, rtol=1e-4, atol=1e-5)


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def numpy_projection(support, mass, reward, discount):
    """Algorithm 1 of Bellemare et al. (2017) for each row."""
    target, step = np.zeros_like(mass), support[1] - support[0]
    for i in range(len(mass)):
        for j, returned in enumerate(support):
            moved = np.clip(float(reward[i] + discount[i] * returned), support[0], support[-1])
            place = (moved - support[0]) / step
            low, high = int(np.floor(place)), int(np.ceil(place))
            if low == high:
                target[i, low] += mass[i, j]
            else:
                target[i, low] += mass[i, j] * (high - place)
                target[i, high] += mass[i, j] * (place - low)
    return target


def test_categorical_loss_equals_algorithm_1():
    agent = separate(make(categorical(num_atoms=11, v_min=-2.0, v_max=3.0)))
    transitions = batch()
    support = np.linspace(-2, 3, 11)

    def distribution(network, observation):
        return softmax(numpy_q(network, observation).reshape(BATCH, ACTIONS, 11))

    following = distribution(agent._target_network, transitions.next_observation.numpy())
    best = (following @ support).argmax(axis=1)
    mass = following[np.arange(BATCH), best]
    target = numpy_projection(support, mass, transitions.reward, transitions.discount)
    np.testing.assert_allclose(target.sum(axis=1), 1)
    predicted = distribution(agent._network, transitions.observation.numpy())
    predicted = predicted[np.arange(BATCH), transitions.action.numpy()]
    expected = -(target * np.log(predicted)).sum(axis=1)
    np.testing.assert_allclose(agent.loss(transitions, SEED).per_example, expected, rtol=1e-4)
    values = distribution(agent._network, transitions.observation.numpy()) @ support
    np.testing.assert_allclose(
        agent.q_values(transitions.observation), values, rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("double", [False, True])
def test_quantile_loss_equals_a_numpy_computation(double):
    agent = separate(make(DQN(distribution="quantile", num_quantiles=5, double=double)))
    transitions = batch()

    def quantiles(network, observation):
        return numpy_q(network, observation.numpy()).reshape(BATCH, ACTIONS, 5)

    following = quantiles(agent._target_network, transitions.next_observation)
    selector = agent._network if double else agent._target_network
    best = quantiles(selector, transitions.next_observation).mean(axis=2).argmax(axis=1)
    predicted = quantiles(agent._network, transitions.observation)
    expected = np.zeros(BATCH)
    for b in range(BATCH):
        target = transitions.reward[b] + transitions.discount[b] * following[b, best[b]]
        for i in range(5):
            u = np.asarray(target) - predicted[b, transitions.action[b], i]
            huber = np.where(np.abs(u) <= 1, 0.5 * u**2, np.abs(u) - 0.5)
            expected[b] += (np.abs((i + 0.5) / 5 - (u < 0)) * huber).mean()
    result = agent.loss(transitions, SEED)
    np.testing.assert_allclose(result.per_example, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(result.priorities, result.per_example)
    np.testing.assert_allclose(
        agent.q_values(transitions.observation), predicted.mean(axis=2), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("kind", ["none", "quantile", "categorical"])
def test_munchausen_targets_equal_a_numpy_computation(kind, double):
    """Equation 2 of the paper, with its clipping."""
    alpha, tau, clip = 0.7, 0.4, -0.5
    agent = separate(
        make(
            DQN(
                distribution=kind, double=double, num_quantiles=5, num_atoms=5,
                v_min=-2.0, v_max=2.0, munchausen=True, munchausen_alpha=alpha,
                munchausen_temperature=tau, munchausen_clip=clip,
            )
        )
    )  # fmt: skip
    transitions, support = batch(), np.linspace(-2, 2, 5)

    def values(network, observation):
        out = numpy_q(network, observation.numpy())
        out = out.reshape(BATCH, ACTIONS, -1)
        return softmax(out) if kind == "categorical" else out

    def mean(values):
        return values @ support if kind == "categorical" else values.mean(axis=2)

    target_t = values(agent._target_network, transitions.next_observation)
    selector = values(agent._network, transitions.next_observation) if double else target_t
    pi_t = softmax(mean(selector) / tau)
    pi_tm1 = softmax(mean(values(agent._target_network, transitions.observation)) / tau)
    log_policy = tau * np.log(pi_tm1[np.arange(BATCH), transitions.action.numpy()])
    assert log_policy.min() < clip < log_policy.max()
    entropy = -(pi_t * tau * np.log(pi_t)).sum(axis=1)
    discount = transitions.discount.numpy()
    reward = transitions.reward.numpy() + alpha * np.clip(log_policy, clip, 0) + discount * entropy
    averaged = (pi_t[:, :, None] * target_t).sum(axis=1)
    if kind == "categorical":
        expected = numpy_projection(support, averaged, reward, discount)
    else:
        expected = reward[:, None] + discount[:, None] * averaged
    found = agent.td_target(transitions, SEED).numpy().reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


EVERY = {"double": True, "dueling": True, "n_step": 3, "noisy": True, "munchausen": True}


@pytest.mark.skipif(not distribution.xla_compiles_for_cpus(), reason="XLA needs AVX2")
@pytest.mark.parametrize("kind", ["none", "categorical", "quantile"])
@pytest.mark.parametrize("switches", [{}, EVERY], ids=["plain", "every"])
def test_xla_computes_the_same_loss(kind, switches):
    agent = separate(make(DQN(distribution=kind, num_quantiles=5, **switches)))
    # XLA's random numbers are others.
    for variable in agent.variables:
        if "sigma" in variable.name:
            variable.assign(tf.zeros_like(variable))
    transitions = batch()
    expected = agent.loss(transitions, SEED)
    found = tf.function(agent.loss, jit_compile=True)(transitions, SEED)
    np.testing.assert_allclose(found.per_example, expected.per_example, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.priorities, expected.priorities, rtol=1e-3, atol=1e-4)


def test_noise_of_the_loss_is_a_function_of_its_seed_and_of_the_network():
    agent = make(DQN(noisy=True, loss="squared"))
    transitions = batch()._replace(reward=tf.zeros([BATCH]), discount=tf.ones([BATCH]))
    transitions = transitions._replace(next_observation=transitions.observation)
    loss = agent.loss(transitions, SEED).per_example.numpy()
    np.testing.assert_array_equal(agent.loss(transitions, SEED).per_example, loss)
    assert (agent.loss(transitions, tf.constant([0, 1])).per_example.numpy() != loss).all()
    # Of equal networks with equal noise the target of the greedy action is its own value.
    greedy = tf.argmax(agent.q_values(transitions.observation), -1, output_type=tf.int32)
    same = agent.loss(transitions._replace(action=greedy), SEED)
    assert (same.priorities.numpy() > 1e-4).all()


def test_noise_explores_and_is_not_in_greedy_play():
    agent = make(DQN(noisy=True, exploration=EpsilonGreedy(0.0, 0.0)))
    # Small differences of Q, which noise outweighs.
    agent._network.head._advantage.kernel.assign(agent._network.head._advantage.kernel * 0.01)
    agent._network.head._advantage.bias.assign(tf.zeros([ACTIONS]))
    observation, carry = batch().observation, agent.initial_carry(BATCH)

    def actions(counter, explore):
        return agent.act(observation, carry, tf.constant([1, counter]), explore)[0].numpy()

    np.testing.assert_array_equal(actions(0, True), actions(0, True))
    assert (actions(0, True) != actions(1, True)).any()
    greedy = np.argmax(agent.q_values(observation), axis=-1)
    for counter in range(5):
        np.testing.assert_array_equal(actions(counter, False), greedy)
    explored = np.stack([actions(counter, True) for counter in range(100)])
    assert all(len(set(each)) == ACTIONS for each in explored.T)


@pytest.mark.parametrize("atoms", [0, 5])
def test_dueling_advantages_have_mean_zero(atoms):
    section = categorical(dueling=True, num_atoms=atoms) if atoms else DQN(dueling=True)
    agent = make(section)
    observation = batch().observation
    head = agent._network.head
    weights = [variable.numpy() for variable in agent._network.variables]
    hidden = np.tanh(observation @ weights[0] + weights[1])
    value = hidden @ head._value.kernel.numpy() + head._value.bias.numpy()
    advantage = hidden @ head._advantage.kernel.numpy() + head._advantage.bias.numpy()
    shape = (BATCH, ACTIONS, max(1, atoms))
    value, advantage = value.reshape(BATCH, 1, -1), advantage.reshape(shape)
    expected = value + advantage - advantage.mean(axis=1, keepdims=True)
    found = agent._network(observation).numpy().reshape(shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def categorical(**options):
    return DQN(distribution="categorical", **options)


def tf_agents_batch(transitions):
    """The transitions as trajectories of two steps `[B, 2]`, which every agent accepts."""
    from tf_agents.trajectories import Trajectory

    def twice(field):
        return tf.stack([field, field], axis=1)

    middle = tf.ones([BATCH, 2], tf.int32)
    observations = tf.stack([transitions.observation, transitions.next_observation], axis=1)
    return Trajectory(
        middle, observations, twice(transitions.action), (), middle,
        twice(transitions.reward), twice(transitions.discount),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["dqn", "double", "categorical"])
def test_loss_equals_that_of_tf_agents(kind):
    from tf_agents.agents.categorical_dqn.categorical_dqn_agent import CategoricalDqnAgent
    from tf_agents.agents.dqn.dqn_agent import DdqnAgent, DqnAgent
    from tf_agents.networks.sequential import Sequential
    from tf_agents.specs import BoundedTensorSpec
    from tf_agents.trajectories import time_step_spec

    observation = tf.TensorSpec((FEATURES,), tf.float32)
    specs = (time_step_spec(observation), BoundedTensorSpec((), tf.int32, 0, ACTIONS - 1))
    # The discount is part of our transitions.
    options = {"optimizer": keras.optimizers.Adam(), "gamma": 1.0}
    section = {
        "dqn": DQN(loss="squared"),
        "double": DQN(double=True, loss="squared"),
        "categorical": categorical(num_atoms=11, v_min=-2.0, v_max=3.0),
    }[kind]
    agent = separate(make(section))

    def wrapped(network):
        made = Sequential([network], input_spec=observation)
        made.num_atoms = 11
        return made

    networks = wrapped(agent._network), wrapped(agent._target_network)
    if kind == "categorical":
        names = ("categorical_q_network", "target_categorical_q_network")
        theirs = CategoricalDqnAgent(
            *specs, **dict(zip(names, networks, strict=True)), min_q_value=-2.0, max_q_value=3.0,
            **options,
        )  # fmt: skip
    else:
        theirs = {"dqn": DqnAgent, "double": DdqnAgent}[kind](
            *specs, **dict(zip(("q_network", "target_q_network"), networks, strict=True)),
            td_errors_loss_fn=lambda target, value: 0.5 * tf.square(target - value),
            **options,
        )  # fmt: skip
    transitions = batch()
    expected = theirs._loss(tf_agents_batch(transitions), training=True).loss
    found = tf.reduce_mean(agent.loss(transitions, SEED).per_example)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_target_network_is_updated_when_it_is_due():
    agent = make(DQN(target_update_period=3, target_update_tau=0.25))
    target, online = agent._target_network.variables[0], agent._network.variables[0]
    start = target.numpy()
    for updates in range(1, 7):
        online.assign_add(tf.ones_like(online) * 0.1)
        agent.after_update(tf.constant(updates, tf.int64))
        if updates % 3:
            np.testing.assert_array_equal(target, start)
        else:
            moved = start + 0.25 * (online.numpy() - start)
            np.testing.assert_allclose(target, moved, rtol=1e-5, atol=1e-7)
            start = target.numpy()


@pytest.mark.parametrize("jit", [False, True] if distribution.xla_compiles_for_cpus() else [False])
def test_a_target_update_of_rate_1_is_an_exact_copy(jit):
    agent = make(DQN(target_update_period=2))
    # With numbers of very different sizes, target + (online - target) rounds.
    for target, online in zip(agent.target.targets, agent.target.online, strict=True):
        target.assign(1e3 * RANDOM.normal(size=target.shape))
        online.assign(1e-3 * RANDOM.normal(size=online.shape))
    before = [target.numpy() for target in agent.target.targets]
    update = tf.function(agent.after_update, jit_compile=jit)
    update(tf.constant(1, tf.int64))
    for target, old in zip(agent.target.targets, before, strict=True):
        np.testing.assert_array_equal(target, old)
    update(tf.constant(2, tf.int64))
    for target, online in zip(agent.target.targets, agent.target.online, strict=True):
        np.testing.assert_array_equal(target, online)


@pytest.mark.parametrize(
    "switches",
    [{}, {"dueling": True}, {"distribution": "categorical"}, {"distribution": "quantile", **EVERY}],
    ids=["dqn", "dueling", "categorical", "every switch"],
)
def test_the_exported_tf_agents_policy_acts_the_same(switches, tmp_path):
    from tf_agents.trajectories import time_step

    from trainer.compat.tf_agents import PolicySaver

    agent = make(DQN(**switches))
    observation = batch().observation
    PolicySaver(agent.policy(), batch_size=None).save(str(tmp_path))
    exported = tf.saved_model.load(str(tmp_path))
    step = exported.action(time_step.restart(observation, BATCH))
    action, _, _ = agent.act(
        observation, agent.initial_carry(BATCH), tf.constant([0, 0]), explore=False
    )
    np.testing.assert_array_equal(step.action, action)


def test_pixels_are_scaled_in_the_network():
    config = ReinforcementLearning(model=CNN(filters=(4,), units=(8,)))
    agent = base.build(config, EnvironmentSpec((8, 8, 1), tf.uint8, Discrete(3)))
    bright = agent.q_values(tf.fill([1, 8, 8, 1], tf.constant(255, tf.uint8)))
    # The input and the scaling come first.
    value = tf.ones([1, 8, 8, 1])
    for layer in (*agent._network.trunk.layers[2:], agent._network.head):
        value = layer(value)
    np.testing.assert_allclose(bright, value, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model": MLP(dropout=0.1)}, r"model\.dropout must be 0"),
        ({"model": AlexNet()}, r"model\.dropout must be 0"),
        ({"model": ResNet(stochastic_depth=0.1)}, r"model\.stochastic_depth must be 0"),
        ({"model": MLP(), "agent": QLinear()}, "needs model.kind 'linear'"),
        ({"model": CNN()}, "needs images"),
    ],
)
def test_models_that_do_not_fit_are_refused(options, expected):
    with pytest.raises(UserError, match=expected):
        make(options.pop("agent", DQN()), **options)


def test_continuous_actions_are_refused():
    spec = EnvironmentSpec((FEATURES,), tf.float32, Box((-1.0,), (1.0,)))
    with pytest.raises(UserError, match="needs a discrete action space"):
        base.build(ReinforcementLearning(), spec)
