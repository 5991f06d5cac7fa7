"""Greedy episodes in environments of their own, and what may be said of their returns."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine.metric_writers import Value
from trainer.errors import UserError
from trainer.rl import seeds
from trainer.rl.agents.dqn import QAgent
from trainer.rl.envs import registry
from trainer.rl.envs.vector import VectorEnvironment, failures_as_user_errors

_BOOTSTRAP_RESAMPLES = 2000
# Steps. No benchmark comes near it; an episode without end would otherwise hold the run for ever.
_LONGEST_EPISODE = 200_000


class Episodes(NamedTuple):
    """One episode of each environment, float32 `[N]`.

    Attributes:
      returns: undiscounted.
      discounted_returns: with the agent's discount, from the first step.
      first_q: the largest Q value of the first observation.
      lengths: steps.
    """

    returns: tf.Tensor
    discounted_returns: tf.Tensor
    first_q: tf.Tensor
    lengths: tf.Tensor


class Evaluator:
    """Plays greedy episodes side by side, each to its own end."""

    def __init__(self, config: ReinforcementLearning, agent: QAgent, compiles: bool):
        """Makes no environment yet: a batch is as large as the episodes asked for."""
        self._config = config
        self._agent = agent
        self._compiles = compiles
        self._environments: dict[int, VectorEnvironment] = {}
        self._players: dict[int, tf.types.experimental.PolymorphicFunction] = {}

    def evaluate_on_the_way(self) -> Mapping[str, Value]:
        """Few episodes, the same ones each time, by which the best checkpoint is chosen."""
        return self._evaluate(self._config.evaluate.interim_episodes, "interim")

    def evaluate_finally(self) -> Mapping[str, Value]:
        """Episodes that no choice was made by."""
        return self._evaluate(self._config.evaluate.episodes, "final")

    def _evaluate(self, episodes: int, stream: str) -> Mapping[str, Value]:
        if episodes not in self._environments:
            environment = registry.make(self._config.environment)
            self._environments[episodes] = environment
            self._players[episodes] = tf.function(
                functools.partial(self._play, environment, episodes),
                jit_compile=self._compiles and environment.in_graph,
            )
        seed = seeds.at(seeds.stream(self._config.seed, stream), 0)
        with failures_as_user_errors(self._environments[episodes]):
            played = Episodes(*(field.numpy() for field in self._players[episodes](seed)))
        if played.lengths.max() >= _LONGEST_EPISODE:
            raise UserError(
                f"a greedy episode has not ended after {_LONGEST_EPISODE:,} steps; set "
                f"environment.time_limit. Received: {self._config.environment.time_limit}"
            )
        return summarize(played, self._config.seed)

    def _play(self, environment: VectorEnvironment, episodes: int, seed: tf.Tensor) -> Episodes:
        first_seed, step_seed = tf.unstack(tf.random.split(seed, 2))
        carry = environment.initial(first_seed, episodes)
        first_q = tf.reduce_max(self._agent.q_values(environment.observe(carry)), axis=-1)
        zeros = tf.zeros([episodes])
        returns, discounted, lengths, discount = zeros, zeros, zeros, zeros + 1
        playing = tf.ones([episodes], tf.bool)
        step = tf.constant(0)
        while tf.reduce_any(playing) and step < _LONGEST_EPISODE:
            action = self._agent.greedy(environment.observe(carry))
            step_seeds = tf.stack([step_seed[0], step_seed[1] + step])
            carry, output = environment.step(carry, action, step_seeds)
            counted = tf.cast(playing, tf.float32)
            returns += counted * output.reward
            discounted += counted * discount * output.reward
            lengths += counted
            discount *= self._config.agent.discount
            playing &= ~(output.terminated | output.truncated)
            step += 1
        return Episodes(returns, discounted, first_q, lengths)


def summarize(episodes: Episodes, seed: int) -> Mapping[str, Value]:
    """Mean, interquartile mean with its 95 % bootstrap interval, and Q's calibration.

    Source: Agarwal et al. (2021) for the interquartile mean and the percentile bootstrap.
    `q_first_mean` against `discounted_return_mean` says whether Q values mean what they say.
    """
    returns = np.asarray(episodes.returns, np.float64)
    low, high = interval(returns, seed)
    return {
        "return_mean": float(returns.mean()),
        "return_iqm": float(stats.trim_mean(returns, 0.25)),
        "return_ci95": [low, high],
        "return_min": float(returns.min()),
        "length_mean": float(np.mean(episodes.lengths)),
        "q_first_mean": float(np.mean(episodes.first_q)),
        "discounted_return_mean": float(np.mean(episodes.discounted_returns)),
        "episodes": len(returns),
    }


def summarize_seeds(runs: Sequence[Mapping[str, Value]], seed: int) -> Mapping[str, Value]:
    """Statistics across runs, each with its `return_mean` as its score; `episodes` of all.

    Source: Agarwal et al. (2021): the interval is of the runs, not of their episodes.
    """
    scores = np.asarray([run["return_mean"] for run in runs], np.float64)
    low, high = interval(scores, seed)
    return {
        "return_mean": float(scores.mean()),
        "return_iqm": float(stats.trim_mean(scores, 0.25)),
        "return_ci95": [low, high],
        "return_min": float(scores.min()),
        "return_of_each_seed": scores.tolist(),
        "episodes": sum(int(run["episodes"]) for run in runs),  # type: ignore[arg-type, misc]
        "seeds": len(scores),
    }


def interval(returns: NDArray[np.float64], seed: int) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the interquartile mean."""
    draws = np.random.default_rng(seed).integers(
        0, len(returns), (_BOOTSTRAP_RESAMPLES, len(returns))
    )
    resampled = stats.trim_mean(returns[draws], 0.25, axis=1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(low), float(high)
