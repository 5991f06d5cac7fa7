"""Evaluation by greedy episodes, and statistics of their returns."""

import functools
import math
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.errors import unknown_name
from trainer.io.records import Value
from trainer.rl import seeds
from trainer.rl.agents.action_masks import uniform_action, valid_actions
from trainer.rl.agents.base import Agent
from trainer.rl.envs import registry
from trainer.rl.envs.vector import VectorEnvironment, failures_as_user_errors, select
from trainer.rl.specs import Discrete, EnvironmentSpec

_RESAMPLES = 2000
_MOST_DRAWS = 2**24
# Steps; the longest episodes of the usual benchmarks, those of Atari, have 27,000. Without a limit
# an episode that never ends under a bad policy would block the run.
_LONGEST_EPISODE = 30_000
# The random streams of the splits, whose episodes differ.
_STREAMS = {"validation": "interim", "test": "final"}
SPLITS = tuple(_STREAMS)


class Episodes(NamedTuple):
    """One episode of each environment, float32 `[N]`.

    Attributes:
      returns: undiscounted.
      discounted_returns: with the agent's discount, from the first step; where the episode was
        truncated, it continues with the agent's value, as the targets of training do.
      first_value: the agent's value of the first observation.
      lengths: steps.
      unfinished: 1 if the evaluation stopped before the episode ended, else 0.
      success: 1 or 0 where the environment tells whether the episode succeeded, else NaN.
    """

    returns: tf.Tensor
    discounted_returns: tf.Tensor
    first_value: tf.Tensor
    lengths: tf.Tensor
    unfinished: tf.Tensor
    success: tf.Tensor


class Evaluator:
    """Plays greedy episodes in parallel, each to its end."""

    def __init__(self, config: ReinforcementLearning, agent: Agent, compiles: bool):
        """Environments are created when the number of episodes is known."""
        self._config = config
        self._agent = agent
        self._compiles = compiles
        self._longest = max(_LONGEST_EPISODE, config.environment.time_limit)
        self._has_warned = False
        self._environments: dict[tuple[int, str], VectorEnvironment] = {}
        self._players: dict[tuple[int, str], tf.types.experimental.PolymorphicFunction] = {}

    def evaluate_interim(self) -> Mapping[str, Value]:
        """The episodes that select the best checkpoint, the same ones each time."""
        return self.evaluate_split("validation")

    def evaluate_final(self) -> Mapping[str, Value]:
        """The final evaluation, on the episodes of `evaluate.split`."""
        return self.evaluate_split(self._config.evaluate.split)

    def evaluate_split(self, split: str, episodes: int = 0) -> Mapping[str, Value]:
        """The metrics of `episodes`."""
        return summarize(self.episodes(split, episodes), self._config.seed)

    def episodes(self, split: str, episodes: int = 0) -> Episodes:
        """The episodes of `validation`, those of `evaluate_interim`, or of `test`, of no choice.

        Args:
          split: validation or test.
          episodes: how many; 0: as configured. The first ones are those of the configuration, and
            as many are played at once.

        Returns:
          Arrays float32 `[N]`.

        Raises:
          UserError: if there is no such split.
        """
        if split not in SPLITS:
            raise unknown_name("value of --split", split, SPLITS)
        section = self._config.evaluate
        at_once = section.interim_episodes if split == "validation" else section.episodes
        count = episodes or at_once
        groups = [self._group(at_once, split, number) for number in range(-(-count // at_once))]
        # The surplus of the last group is left out.
        played = Episodes(*(np.concatenate(field)[:count] for field in zip(*groups, strict=True)))
        unfinished = int(played.unfinished.sum())
        if unfinished and not self._has_warned:
            self._has_warned = True
            print(
                f"{unfinished} of {count} greedy episodes did not end within "
                f"{self._longest:,} steps and were stopped; environment.time_limit of a new run "
                "ends them earlier",
                file=sys.stderr,
            )
        return played

    def _group(self, episodes: int, split: str, number: int) -> Episodes:
        section = self._config.environment
        # Both splits may share an environment, and its compiled function.
        key = (episodes, section.test_name if split == "test" else section.validation_name)
        if key not in self._environments:
            environment = registry.make_split(section, split)
            self._environments[key] = environment
            self._players[key] = tf.function(
                functools.partial(self._play, environment, episodes),
                jit_compile=self._compiles and environment.in_graph,
            )
        seed = seeds.at(seeds.stream(self._config.seed, _STREAMS[split]), number)
        with failures_as_user_errors(self._environments[key]):
            return Episodes(*(field.numpy() for field in self._players[key](seed)))

    def _play(self, environment: VectorEnvironment, episodes: int, seed: tf.Tensor) -> Episodes:
        first_seed, step_seed = tf.unstack(tf.random.split(seed, 2))
        carry = environment.initial(first_seed, episodes)
        first_value = self._agent.value(environment.observe(carry))
        policy_carry = self._agent.initial_carry(episodes)
        last_observation = environment.observe(carry)
        zeros = tf.zeros([episodes])
        returns, discounted, lengths, discount = zeros, zeros, zeros, zeros + 1
        playing = tf.ones([episodes], tf.bool)
        terminated = tf.zeros([episodes], tf.bool)
        success = tf.fill([episodes], math.nan)
        step = tf.constant(0)
        while tf.reduce_any(playing) and step < self._longest:
            step_seeds = tf.stack([step_seed[0], step_seed[1] + step])
            action, policy_carry, _ = self._agent.act(
                environment.observe(carry), policy_carry, step_seeds, explore=False
            )
            valid = valid_actions(environment.observe(carry), environment.spec)
            action = self._with_random_actions(action, environment.spec, step_seeds, valid)
            carry, output = environment.step(carry, action, step_seeds)
            counted = tf.cast(playing, tf.float32)
            returns += counted * output.reward
            discounted += counted * discount * output.reward
            lengths += counted
            discount *= tf.where(playing, self._agent.discount, 1.0)
            terminated |= playing & output.terminated
            success = tf.where(playing, output.success, success)
            last_observation = select(playing, output.next_observation, last_observation)
            playing &= ~(output.terminated | output.truncated)
            step += 1
        last_value = self._agent.value(last_observation)
        discounted += tf.where(terminated, 0.0, discount * last_value)
        unfinished = tf.cast(playing, tf.float32)
        return Episodes(returns, discounted, first_value, lengths, unfinished, success)

    def _with_random_actions(
        self, action: tf.Tensor, spec: EnvironmentSpec, seed: tf.Tensor, valid: tf.Tensor | None
    ) -> tf.Tensor:
        """Replaces actions by uniform ones with probability `evaluate.epsilon`."""
        epsilon = self._config.evaluate.epsilon
        if not epsilon:
            return action
        assert isinstance(spec.action, Discrete)
        # The environment splits the same seed in two.
        draws = tf.random.stateless_uniform([2, action.shape[0]], tf.random.split(seed, 3)[2])
        uniform = uniform_action(draws[1], spec.action.n, valid)
        return tf.where(draws[0] < epsilon, uniform, action)


def summarize(episodes: Episodes, seed: int) -> Mapping[str, Value]:
    """Mean, interquartile mean with its 95 % bootstrap interval, and Q-value calibration.

    Source: Agarwal et al. (2021) for the interquartile mean and the percentile bootstrap.
    Q-value calibration: `q_first_mean` should equal `discounted_return_mean`.
    `success_rate` is the mean over the episodes that tell their success, and absent without any.
    """
    returns = np.asarray(episodes.returns, np.float64)
    low, high = interval(returns, seed)
    told = np.asarray(episodes.success)[np.isfinite(episodes.success)]
    success = {"success_rate": float(np.mean(told))} if told.size else {}
    return {
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std()),
        "return_iqm": float(stats.trim_mean(returns, 0.25)),
        "return_ci95": [low, high],
        "return_min": float(returns.min()),
        **success,
        "length_mean": float(np.mean(episodes.lengths)),
        "q_first_mean": float(np.mean(episodes.first_value)),
        "discounted_return_mean": float(np.mean(episodes.discounted_returns)),
        "episodes": len(returns),
        "episodes_unfinished": int(np.sum(episodes.unfinished)),
    }


def record_split(config: ReinforcementLearning) -> str:
    """The split under which the final evaluation is reported: eval or test."""
    return "test" if config.evaluate.split == "test" else "eval"


def summarize_seeds(runs: Sequence[Mapping[str, Value]], seed: int) -> Mapping[str, Value]:
    """Statistics across runs, with the `return_mean` of each run as its score.

    Source: Agarwal et al. (2021): the interval is that of the runs, not of their episodes.
    """
    scores = np.asarray([run["return_mean"] for run in runs], np.float64)
    low, high = interval(scores, seed)
    total = {
        name: sum(int(run[name]) for run in runs)  # type: ignore[arg-type, misc]
        for name in ("episodes", "episodes_unfinished")
    }
    of_last = [run["last_return_mean"] for run in runs if "last_return_mean" in run]
    return {
        "return_mean": float(scores.mean()),
        "return_iqm": float(stats.trim_mean(scores, 0.25)),
        "return_ci95": [low, high],
        "return_min": float(scores.min()),
        **({"last_return_mean": float(np.mean(of_last))} if of_last else {}),
        "return_of_each_seed": scores.tolist(),
        "episodes": total["episodes"],
        "episodes_unfinished": total["episodes_unfinished"],
        "seeds": len(scores),
    }


def interval(returns: NDArray[np.float64], seed: int) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the interquartile mean."""
    random = np.random.default_rng(seed)
    # Of many episodes not all resamples are in memory at once.
    part = max(1, _MOST_DRAWS // len(returns))
    resampled = [
        stats.trim_mean(returns[random.integers(0, len(returns), shape)], 0.25, axis=1)
        for first in range(0, _RESAMPLES, part)
        for shape in [(min(part, _RESAMPLES - first), len(returns))]
    ]
    low, high = np.percentile(np.concatenate(resampled), [2.5, 97.5])
    return float(low), float(high)
