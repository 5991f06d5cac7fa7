"""Collection of steps: one replica's environments, played by an agent."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, cast

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.rl import seeds
from trainer.rl.agents.base import Agent
from trainer.rl.envs.vector import Carry, VectorEnvironment
from trainer.rl.experience.steps import Steps

# What `Collector.collect` counts of the episodes that ended, in its order.
EPISODE_SUMS = ("episodes", "return", "squared_return", "length")

# Longer collections are a loop, which takes less time to compile.
_MAX_UNROLLED = 8
# What the environments and the policy remember between two steps.
_State = tuple[Carry, Any]


class Collector(tf.Module):
    """A batch of environments and what the policy remembers between two of its steps.

    Attributes:
      environment: what the agent acts in.
    """

    def __init__(
        self,
        config: ReinforcementLearning,
        environment: VectorEnvironment,
        agent: Agent,
        num_envs: int,
        replica: int,
        compiles: bool,
    ):
        """Starts the environments.

        Args:
          config: the experiment.
          environment: the batch; this collector alone steps it.
          agent: selects the actions.
          num_envs: environments of this replica.
          replica: global number of the replica, which keys its random numbers.
          compiles: whether XLA compiles acting.
        """
        super().__init__()
        self.environment = environment
        self._agent = agent
        self._num_envs = num_envs
        self._num_steps = config.train.collect_steps
        self._streams = {
            name: seeds.stream(config.seed, name, replica) for name in ("reset", "step")
        }
        self._compiles = compiles and environment.in_graph
        self._steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        # Where the episodes are, and what the policy remembers.
        state = (self._new_episodes(), agent.initial_carry(num_envs))
        self._structure = tf.nest.map_structure(lambda tensor: tensor.dtype, state)
        self._state = [tf.Variable(_storable(t), trainable=False) for t in tf.nest.flatten(state)]

    def _new_episodes(self) -> Carry:
        seed = seeds.at(self._streams["reset"], self._steps)
        return self.environment.initial(seed, self._num_envs)

    def start_new_episodes(self) -> None:
        """Starts new episodes, where those of a checkpoint could not be restored."""
        _, policy_carry = self._read_state()
        self._write_state((self._new_episodes(), policy_carry))

    def exploration_figures(self) -> Mapping[str, tf.Tensor]:
        """Scalars that describe the state of exploration, by name."""
        return self._agent.exploration_figures(self._read_state()[1])

    def _read_state(self) -> _State:
        dtypes = tf.nest.flatten(self._structure)
        values = [tf.cast(v.value(), d) for v, d in zip(self._state, dtypes, strict=True)]
        return tf.nest.pack_sequence_as(self._structure, values)

    def _write_state(self, state: _State) -> None:
        for variable, value in zip(self._state, tf.nest.flatten(state), strict=True):
            variable.assign(_storable(value))

    def collect(self) -> tuple[Steps, tf.Tensor]:
        """Takes `train.collect_steps` steps of every environment.

        Returns:
          The steps, and float32 `[4]`: the sums of `EPISODE_SUMS` over the episodes that ended.
        """
        steps, sums, state = self._play(self._read_state(), self._steps.value())
        self._write_state(state)
        self._steps.assign_add(self._num_steps)
        return steps, sums

    @functools.cached_property
    def _play(self) -> Callable[[_State, tf.Tensor], tuple[Steps, tf.Tensor, _State]]:
        # Acting is arithmetic on small tensors, which XLA fuses. Storing the steps is left
        # outside, where variables are written in place. The state comes and goes as tensors,
        # because code that XLA compiles for a GPU cannot read integer variables of 32 bits.
        return tf.function(self._take_steps, jit_compile=self._compiles)

    def _take_steps(self, state: _State, first: tf.Tensor) -> tuple[Steps, tf.Tensor, _State]:
        """Steps number `first` and following, from a state; returns the state after them."""
        sums = tf.zeros([len(EPISODE_SUMS)])
        if self._num_steps <= _MAX_UNROLLED:
            taken = []
            for number in range(self._num_steps):
                steps, added, state = self._take_step(state, first + number)
                taken.append(steps)
                sums += added
            return tf.nest.map_structure(lambda *fields: tf.stack(fields), *taken), sums, state

        example = tf.nest.map_structure(
            lambda tensor: tf.TensorArray(
                tensor.dtype, self._num_steps, element_shape=tensor.shape
            ),
            self._step_spec(state),
        )

        def one(number, state, sums, arrays):  # type: ignore[no-untyped-def]
            steps, added, state = self._take_step(state, first + tf.cast(number, tf.int64))
            arrays = [
                array.write(number, field)
                for array, field in zip(arrays, tf.nest.flatten(steps), strict=True)
            ]
            return number + 1, state, sums + added, arrays

        _, state, sums, arrays = tf.while_loop(
            lambda number, *_: number < self._num_steps,
            one,
            (tf.constant(0), state, sums, tf.nest.flatten(example)),
        )
        stacked = [array.stack() for array in arrays]
        return tf.nest.pack_sequence_as(example, stacked), sums, state

    def _step_spec(self, state: _State) -> Steps:
        """The shapes and dtypes of one step, without its time axis."""
        step = tf.function(lambda state: self._take_step(state, tf.constant(0, tf.int64))[0])
        return cast(Steps, step.get_concrete_function(state).structured_outputs)

    def _take_step(self, state: _State, number: tf.Tensor) -> tuple[Steps, tf.Tensor, _State]:
        """Step `number` of every environment, its sums of `EPISODE_SUMS`, and the next state."""
        carry, policy_carry = state
        act_seed, step_seed = tf.unstack(
            tf.random.split(seeds.at(self._streams["step"], number), 2)
        )
        observation = self.environment.observe(carry)
        action, policy_carry, extras = self._agent.act(
            observation, policy_carry, act_seed, explore=True
        )
        carry, output = self.environment.step(carry, action, step_seed)
        ended = output.terminated | output.truncated
        discount = self._agent.discount * tf.cast(~output.terminated, tf.float32)
        steps = Steps(
            observation, action, output.reward, discount, ended, output.next_observation, extras
        )
        finished = tf.cast(ended, tf.float32)
        episode_return = output.episode_return
        length = tf.cast(output.episode_length, tf.float32)
        sums = tf.stack(
            [
                tf.reduce_sum(finished),
                tf.reduce_sum(finished * episode_return),
                tf.reduce_sum(finished * tf.square(episode_return)),
                tf.reduce_sum(finished * length),
            ]
        )
        return steps, sums, (carry, policy_carry)


def _storable(tensor: tf.Tensor) -> tf.Tensor:
    """An int32 tensor as int64: XLA keeps variables of int32 on the host."""
    return tf.cast(tensor, tf.int64) if tensor.dtype == tf.int32 else tensor
