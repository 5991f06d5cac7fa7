import gymnasium
import numpy as np
import pytest
from scipy import stats

from trainer.compat.keras import tf
from trainer.config import DQN, MLP, PPO, Environment, EvaluateRL, ReinforcementLearning
from trainer.engine import distribution
from trainer.errors import UserError
from trainer.rl import evaluate
from trainer.rl.agents import base
from trainer.rl.agents.dqn import DQNAgent
from trainer.rl.envs import registry
from trainer.rl.evaluate import Episodes, Evaluator, interval, summarize, summarize_seeds
from trainer.rl.settings import check_actions

RETURNS = np.array([1.0, 2, 3, 4, 5, 6, 7, 1000], np.float32)


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    played = Episodes(
        returns=RETURNS,
        discounted_returns=RETURNS / 2,
        first_value=RETURNS / 4,
        lengths=np.full(8, 9, np.float32),
        unfinished=np.eye(8)[0],
        success=np.full(8, np.nan),
    )
    figures = summarize(played, seed=0)
    assert figures["return_iqm"] == np.mean([3, 4, 5, 6])
    assert figures["return_mean"] == RETURNS.mean()
    assert figures["return_min"] == 1
    assert figures["discounted_return_mean"] == RETURNS.mean() / 2
    assert figures["q_first_mean"] == RETURNS.mean() / 4
    assert figures["length_mean"] == 9
    assert figures["episodes"] == 8
    assert figures["episodes_unfinished"] == 1
    assert "success_rate" not in figures
    assert summarize(played._replace(success=np.array([1, 0, 0, 1, *[np.nan] * 4])), seed=0)[
        "success_rate"
    ] == pytest.approx(0.5)
    assert figures["return_ci95"] == list(interval(RETURNS.astype(np.float64), 0))


def test_the_interval_is_the_percentile_bootstrap_of_the_interquartile_mean():
    returns = np.random.default_rng(3).normal(100, 20, 200)
    low, high = interval(returns, seed=0)
    reference = stats.bootstrap(
        (returns,),
        lambda x, axis: stats.trim_mean(x, 0.25, axis=axis),
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(7),
    ).confidence_interval
    np.testing.assert_allclose([low, high], [reference.low, reference.high], atol=0.6)
    assert low < stats.trim_mean(returns, 0.25) < high


def test_the_summary_of_seeds_has_the_mean_of_their_last_checkpoints():
    run = {"return_mean": 3.0, "episodes": 5, "episodes_unfinished": 0}
    assert "last_return_mean" not in summarize_seeds([run, run], seed=0)
    runs = [{**run, "last_return_mean": value} for value in (1.0, 2.0)]
    assert summarize_seeds(runs, seed=0)["last_return_mean"] == 1.5


def test_equal_returns_have_no_spread():
    assert interval(np.full(20, 500.0), seed=0) == (500.0, 500.0)


def test_each_environment_plays_one_greedy_episode():
    """Against Gymnasium's CartPole, stepped by hand from the same states."""
    config = ReinforcementLearning(
        environment=Environment(time_limit=9), model=MLP(units=(8,)), agent=DQN(discount=0.9)
    )
    ours = registry.make(config.environment)
    agent = base.build(config, ours.spec)
    seed = tf.constant([5, 6])
    played = Evaluator(config, agent, compiles=False)._play(ours, 12, seed)
    first_seed, _ = tf.unstack(tf.random.split(seed, 2))
    starts = ours.observe(ours.initial(first_seed, 12))
    np.testing.assert_array_equal(played.first_value, agent.q_values(starts).numpy().max(axis=1))
    theirs = gymnasium.make("CartPole-v1", max_episode_steps=9, disable_env_checker=True)
    for index, start in enumerate(starts.numpy()):
        theirs.reset()
        theirs.unwrapped.state = start.astype(np.float64)
        observation, rewards, ended = start, [], False
        while not ended:
            action = int(tf.argmax(agent.q_values(tf.constant(observation[None], tf.float32))[0]))
            observation, reward, terminated, truncated, _ = theirs.step(action)
            rewards.append(reward)
            ended = terminated or truncated
        assert played.lengths[index] == len(rewards)
        assert played.returns[index] == sum(rewards)
        expected = sum(0.9**k * reward for k, reward in enumerate(rewards))
        if not terminated:
            value = agent.q_values(tf.constant(observation[None], tf.float32)).numpy().max()
            expected += 0.9 ** len(rewards) * value
        np.testing.assert_allclose(played.discounted_returns[index], expected, rtol=1e-5)
    assert len(np.unique(played.lengths)) > 1


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_random_actions_have_the_configured_probability(epsilon, monkeypatch):
    config = ReinforcementLearning(
        environment=Environment(name="Catch-v0"), evaluate=EvaluateRL(epsilon=epsilon)
    )
    environment = registry.make(config.environment)
    agent = base.build(config, environment.spec)
    greedy = tf.zeros([64], tf.int32)
    monkeypatch.setattr(agent, "act", lambda *_, **__: (greedy, (), ()))
    taken = []
    step = environment.step

    def record(carry, action, seed):
        taken.append(action.numpy())
        return step(carry, action, seed)

    monkeypatch.setattr(environment, "step", record)
    evaluator = Evaluator(config, agent, compiles=False)
    for seed in ([1, 2], [1, 2], [2, 2]):
        evaluator._play(environment, 64, tf.constant(seed))
    first, again, other = np.split(np.stack(taken), 3)
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (epsilon == 0)
    counts = np.bincount(np.stack(taken).ravel(), minlength=3)
    # Of three actions one is the greedy one.
    expected = counts.sum() * np.array([1 - 2 * epsilon / 3, epsilon / 3, epsilon / 3])
    assert np.abs(counts - expected).max() < 5 * np.sqrt(counts.sum())


def test_continuous_actions_cannot_be_random():
    config = ReinforcementLearning(
        environment=Environment(name="Pendulum-v1"), agent=PPO(), evaluate=EvaluateRL(epsilon=0.1)
    )
    spec = registry.make(config.environment).spec
    with pytest.raises(UserError, match=r"must be 0 for the continuous .* Received: 0\.1"):
        check_actions(config, spec)
    check_actions(ReinforcementLearning(agent=PPO()), spec)


class PerfectBalance(DQNAgent):
    """Balances the pole for ever; each step is worth 1, so the value is 1 / (1 - discount)."""

    def q_values(self, observation):
        _, velocity, angle, angular_velocity = tf.unstack(observation, axis=1)
        right = angle + angular_velocity + 0.1 * velocity > 0
        best = tf.fill(tf.shape(angle), 1 / (1 - self.discount))
        return tf.stack([tf.where(right, 0.0, best), tf.where(right, best, 0.0)], axis=1)


@pytest.mark.parametrize(
    "compiles", [False, True] if distribution.xla_compiles_for_cpus() else [False]
)
def test_exact_values_are_reported_as_calibrated(compiles):
    """The time limit of CartPole-v0 truncates, so the value continues as in training's targets."""
    config = ReinforcementLearning(
        environment=Environment(name="CartPole-v0"), model=MLP(units=(4,)), agent=DQN()
    )
    agent = PerfectBalance(config, registry.make(config.environment).spec)
    figures = Evaluator(config, agent, compiles).evaluate_interim()
    assert figures["return_min"] == 200
    assert figures["q_first_mean"] == pytest.approx(100)
    assert figures["discounted_return_mean"] == pytest.approx(100)


@pytest.mark.parametrize(
    "compiles", [False, True] if distribution.xla_compiles_for_cpus() else [False]
)
def test_an_endless_episode_is_stopped_counted_and_announced_once(compiles, monkeypatch, capfd):
    """CliffWalking has no time limit; an agent that walks against a wall never ends."""
    monkeypatch.setattr(evaluate, "_LONGEST_EPISODE", 50)
    evaluators = {}
    for name, limit in (("MountainCar-v0", 0), ("CliffWalking-v1", 0), ("CliffWalking-v1", 60)):
        config = ReinforcementLearning(
            environment=Environment(name=name, time_limit=limit),
            evaluate=EvaluateRL(episodes=3, interim_episodes=3),
        )
        agent = base.build(config, registry.make(config.environment).spec)
        # Constant values: the greedy action is 0, up or to the left.
        for variable in agent.trainable_variables:
            variable.assign(tf.zeros_like(variable))
        evaluators[name, limit] = Evaluator(config, agent, compiles)
    for evaluator in evaluators.values():
        evaluator.evaluate_interim()
    errors = capfd.readouterr().err
    message = "3 of 3 greedy episodes did not end within 50 steps and were stopped"
    # MountainCar's own limit is 200. The third has a larger limit in its configuration.
    assert errors.count(message) == len(errors.splitlines()) == 2
    found = [evaluator.evaluate_final() for evaluator in evaluators.values()]
    assert [figures["episodes_unfinished"] for figures in found] == [3, 3, 0]
    assert [figures["length_mean"] for figures in found] == [50, 50, 60]
    assert "greedy episodes" not in capfd.readouterr().err


@pytest.mark.parametrize("backend", ["tensorflow", "gymnasium"])
def test_no_episode_of_the_final_evaluation_is_an_interim_one(backend, monkeypatch):
    """In one order or the other, and in several evaluations."""
    config = ReinforcementLearning(
        environment=Environment(time_limit=3, backend=backend),
        evaluate=EvaluateRL(episodes=16, interim_episodes=16),
    )
    agent = base.build(config, registry.make(config.environment).spec)
    evaluator = Evaluator(config, agent, compiles=False)
    starts = []
    value = agent.value

    def record(observations):
        tf.py_function(lambda seen: starts.append(seen.numpy()), [observations], [])
        return value(observations)

    monkeypatch.setattr(agent, "value", record)
    evaluations = ("interim", "test", "interim", "validation", "test")
    for name in evaluations:
        evaluator.evaluate_interim() if name == "interim" else evaluator.evaluate_split(name)
    # The agent's value is asked for the first observations, and for the last.
    interim, test, again, validation, repeated = starts[::2]
    np.testing.assert_array_equal(interim, again)
    np.testing.assert_array_equal(interim, validation)
    np.testing.assert_array_equal(test, repeated)
    assert len(np.unique(np.concatenate([interim, test]), axis=0)) == 32


def test_any_number_of_episodes_begins_with_the_configured_ones(monkeypatch):
    config = ReinforcementLearning(
        environment=Environment(time_limit=3), evaluate=EvaluateRL(episodes=8, interim_episodes=4)
    )
    agent = base.build(config, registry.make(config.environment).spec)
    evaluator = Evaluator(config, agent, compiles=False)
    summarized = []

    def record(episodes, seed):
        summarized.append(episodes)
        return summarize(episodes, seed)

    monkeypatch.setattr("trainer.rl.evaluate.summarize", record)
    for episodes in (0, 3, 20):
        found = evaluator.evaluate_split("test", episodes)
        assert found["episodes"] == (episodes or 8)
    configured, fewer, more = (each.first_value for each in summarized)
    np.testing.assert_array_equal(fewer, configured[:3])
    np.testing.assert_array_equal(more[:8], configured)
    assert len(np.unique(more)) == 20


class FollowsTheFirst(DQNAgent):
    """Takes action 1 where the first number of the observation is positive."""

    def q_values(self, observation):
        return tf.stack([tf.zeros_like(observation[:, 0]), observation[:, 0]], axis=1)


@pytest.mark.parametrize("name", ["Tells", "TellsOtherwise"])
def test_the_success_that_environments_tell_is_reported(name):
    section = Environment(name=f"tests.rl.envs.games:{name}")
    config = ReinforcementLearning(
        environment=section, model=MLP(units=(4,)), evaluate=EvaluateRL(episodes=30)
    )
    ours = registry.make(section)
    agent = FollowsTheFirst(config, ours.spec)
    evaluator = Evaluator(config, agent, compiles=False)
    played = evaluator._play(ours, 30, tf.constant([1, 2]))
    starts = ours.observe(ours.initial(tf.random.split([1, 2], 2)[0], 30)).numpy()
    np.testing.assert_array_equal(played.success, starts[:, 0] > 0)
    assert 0 < evaluator.evaluate_final()["success_rate"] < 1
