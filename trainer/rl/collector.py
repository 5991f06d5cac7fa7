"""One replica's environments and replay: acting, and remembering what came of it."""

import functools
from collections.abc import Callable

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.rl import seeds
from trainer.rl.agents.dqn import QAgent
from trainer.rl.envs.vector import Carry, VectorEnvironment
from trainer.rl.experience.n_step import Transition, Window, empty_window, n_step, slide
from trainer.rl.experience.replay import Sample, make_replay
from trainer.rl.exploration import NOTHING_HELD, explore

# What `Actor.totals` counts, in its order.
TOTALS = ("episodes", "return", "length", "loss", "updates")


class Actor(tf.Module):
    """A batch of environments with everything that lies between two of its steps.

    Attributes:
      totals: float64 `[5]`, sums since the last report, in the order of `TOTALS`.
      environment: what the agent acts in.
    """

    def __init__(
        self,
        config: ReinforcementLearning,
        environment: VectorEnvironment,
        agent: QAgent,
        replica: int,
        replicas: int,
        compiles: bool,
    ):
        """Starts this replica's share of the environments."""
        super().__init__()
        self.environment = environment
        self._agent = agent
        self._config = config
        self._count = config.train.environments // replicas
        self._draws = config.train.global_batch_size // replicas
        self._compiles = compiles and environment.in_graph
        self._streams = {
            name: seeds.stream(config.seed, name, replica) for name in ("reset", "step", "replay")
        }
        self._n = getattr(config.agent, "n_step", 1)
        shape, dtype = environment.observation_shape, environment.observation_dtype
        self._replay = make_replay(config.replay, self._count, replicas, shape, dtype)
        self._steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        # What lies between two steps: where the episodes stand, the last n steps, and the
        # random actions that are still held.
        between = (
            self._fresh(),
            empty_window(self._n, self._count, shape, dtype),
            tf.fill([self._count], NOTHING_HELD),
        )
        self._structure = tf.nest.map_structure(lambda _: 0, between)
        self._between = [tf.Variable(t, trainable=False) for t in tf.nest.flatten(between)]
        self._draw_count = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.totals = tf.Variable(tf.zeros([len(TOTALS)], tf.float64), trainable=False)

    def _fresh(self) -> Carry:
        return self.environment.initial(seeds.at(self._streams["reset"], self._steps), self._count)

    def begin_episodes_anew(self) -> None:
        """Starts fresh episodes, where those of a checkpoint could not be restored.

        The old ones end as by truncation, so that no n-step return crosses into the new.
        """
        _, window, held = self._read_between()
        ended = tf.concat([window.ended[:-1], tf.ones_like(window.ended[-1:])], axis=0)
        self._write_between(
            (self._fresh(), window._replace(ended=ended), tf.fill(tf.shape(held), NOTHING_HELD))
        )

    def _read_between(self) -> tuple[Carry, Window, tf.Tensor]:
        return tf.nest.pack_sequence_as(
            self._structure, [variable.value() for variable in self._between]
        )

    def _write_between(self, between: tuple[Carry, Window, tf.Tensor]) -> None:
        for variable, value in zip(self._between, tf.nest.flatten(between), strict=True):
            variable.assign(value)

    def collect(self) -> None:
        """Takes `collect_steps` steps of every environment and stores their transitions."""
        before = self._steps.read_value()
        for number, transitions in enumerate(self._act()):
            # The first n - 1 windows begin before the first step.
            self._replay.add(transitions, before + number + 1 >= self._n)

    def stored(self) -> tf.Tensor:
        """How many transitions this replica remembers, int32."""
        return self._replay.ring.size()

    def sample(self, batches: int, progress: tf.Tensor) -> Sample:
        """Transitions for `batches` updates, fields `[batches * share, ...]`."""
        seed = seeds.at(self._streams["replay"], self._draw_count)
        self._draw_count.assign_add(1)
        return self._replay.sample(batches, self._draws, seed, progress)

    def learnt(self, sample: Sample, losses: tf.Tensor, td_error: tf.Tensor, updates: int) -> None:
        """Takes note of what updates on `sample` came to: losses and errors like its indices."""
        self._replay.update_priorities(sample.indices, td_error)
        share = tf.reduce_sum(losses) / self._config.train.global_batch_size
        self.totals.assign_add(
            tf.cast(tf.stack([0.0, 0.0, 0.0, share, float(updates)]), tf.float64)
        )

    @functools.cached_property
    def _act(self) -> Callable[[], list[Transition]]:
        # Acting is arithmetic on small tensors, which XLA fuses; the replay is left outside,
        # where it is written in place.
        return tf.function(self._take_steps, jit_compile=self._compiles)

    def _take_steps(self) -> list[Transition]:
        carry, window, held = self._read_between()
        totals = tf.zeros([3], tf.float64)
        stored = []
        for number in range(self._config.train.collect_steps):
            seed = seeds.at(self._streams["step"], self._steps + number)
            act_seed, step_seed = tf.unstack(tf.random.split(seed, 2))
            observation = self.environment.observe(carry)
            action, held = explore(
                self._agent.greedy(observation),
                held,
                self.epsilon(number),
                getattr(self._config.agent, "epsilon_duration", 1.0),
                self.environment.num_actions,
                act_seed,
            )
            carry, output = self.environment.step(carry, action, step_seed)
            ended = output.terminated | output.truncated
            step = Transition(
                observation,
                action,
                output.reward,
                self._config.agent.discount * tf.cast(~output.terminated, tf.float32),
                output.next_observation,
            )
            window = slide(window, Window(step, ended))
            stored.append(n_step(window))
            finished = tf.cast(ended, tf.float64)
            totals += tf.stack(
                [
                    tf.reduce_sum(finished),
                    tf.reduce_sum(finished * tf.cast(output.episode_return, tf.float64)),
                    tf.reduce_sum(finished * tf.cast(output.episode_length, tf.float64)),
                ]
            )
        self._write_between((carry, window, held))
        self._steps.assign_add(self._config.train.collect_steps)
        self.totals.assign_add(tf.concat([totals, tf.zeros([2], tf.float64)], axis=0))
        return stored

    def epsilon(self, ahead: int = 0) -> tf.Tensor:
        """Share of random actions `ahead` steps from now: a linear fall, then constant."""
        agent = self._config.agent
        taken = (self._steps + ahead) * self._config.train.environments
        done = tf.minimum(tf.cast(taken, tf.float32) / agent.epsilon_decay_steps, 1.0)
        return agent.epsilon_initial + done * (agent.epsilon_final - agent.epsilon_initial)
