"""n-step transitions from consecutive steps."""

from trainer.compat.keras import tf
from trainer.rl.experience.steps import Steps, Transition
from trainer.rl.specs import EnvironmentSpec


class NStep(tf.Module):
    """Turns steps into n-step transitions; keeps the last n - 1 steps in between.

    Each step of an environment starts exactly one transition, n - 1 steps after it was taken:
    shapes are static and nothing has to be flushed at the end of an episode.
    """

    def __init__(self, n: int, num_envs: int, spec: EnvironmentSpec, compiles: bool):
        """Creates the state for `num_envs` environments.

        Args:
          n: rewards summed per transition.
          num_envs: B.
          spec: of the environment.
          compiles: whether XLA compiles the computation.
        """
        super().__init__()
        self._n = n
        shape, dtype = spec.observation_shape, spec.observation_dtype

        def variable(dtype: tf.DType, *rest: int) -> tf.Variable:
            return tf.Variable(tf.zeros([n - 1, num_envs, *rest], dtype), trainable=False)

        self._recent = Steps(
            observation=variable(dtype, *shape),
            # XLA keeps variables of int32 on the host.
            action=variable(tf.int64),
            reward=variable(tf.float32),
            discount=variable(tf.float32),
            ended=variable(tf.bool),
            next_observation=variable(dtype, *shape),
            extras=(),
        )
        self._steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._compute = tf.function(self._concatenate_and_sum, jit_compile=compiles)

    def __call__(self, steps: Steps) -> tuple[Transition, tf.Tensor]:
        """Transitions that end with each of the given steps.

        Args:
          steps: fields `[T, B, ...]`, following those of the previous call.

        Returns:
          Transitions, fields `[T, B, ...]`, and bool `[T]`: whether each has begun at a real
          step, which the first n - 1 have not.
        """
        count = steps.reward.shape[0]
        if self._n == 1:
            return _transitions(steps, 1, count), tf.ones([count], tf.bool)
        transitions, recent = self._compute(_without_extras(steps), self._read())
        for variable, value in zip(self._recent, recent, strict=True):
            if not isinstance(variable, tuple):
                variable.assign(tf.cast(value, variable.dtype))
        valid = self._steps + tf.range(count, dtype=tf.int64) >= self._n - 1
        self._steps.assign_add(count)
        return transitions, valid

    def end_episodes(self) -> None:
        """Ends all episodes as by truncation, so that no return crosses into new ones."""
        if self._n > 1:
            ended = self._recent.ended
            ended.assign(tf.concat([ended[:-1], tf.ones_like(ended[-1:])], axis=0))

    def _read(self) -> Steps:
        recent = tf.nest.map_structure(lambda variable: variable.value(), self._recent)
        return recent._replace(action=tf.cast(recent.action, tf.int32))

    def _concatenate_and_sum(self, new: Steps, recent: Steps) -> tuple[Transition, Steps]:
        steps = tf.nest.map_structure(lambda a, b: tf.concat([a, b], axis=0), recent, new)
        transitions = _transitions(steps, self._n, new.reward.shape[0])
        return transitions, tf.nest.map_structure(lambda field: field[1 - self._n :], steps)


def _without_extras(steps: Steps) -> Steps:
    return steps._replace(extras=())


def _transitions(steps: Steps, n: int, count: int) -> Transition:
    """`count` transitions of n steps each, the k-th starting at step k.

    The sum stops where an episode ends, by termination or truncation, so that it never
    crosses into the next episode.

    Source: Sutton and Barto (2018), equation 7.1; Hessel et al. (2018) for its use in DQN.

    Args:
      steps: fields `[n - 1 + count, B, ...]`.
      n: rewards summed.
      count: how many transitions.
    """

    def at(field: tf.Tensor, k: int) -> tf.Tensor:
        return field[k : k + count]

    reward = at(steps.reward, n - 1)
    discount = at(steps.discount, n - 1)
    next_observation = at(steps.next_observation, n - 1)
    for k in reversed(range(n - 1)):
        ended = at(steps.ended, k)
        # The discount of one step is gamma, or 0 where the episode terminated.
        reward = at(steps.reward, k) + tf.where(ended, 0.0, at(steps.discount, k) * reward)
        discount = at(steps.discount, k) * tf.where(ended, 1.0, discount)
        mask = tf.reshape(ended, [*ended.shape, *[1] * (len(next_observation.shape) - 2)])
        next_observation = tf.where(mask, at(steps.next_observation, k), next_observation)
    return Transition(
        at(steps.observation, 0), at(steps.action, 0), reward, discount, next_observation
    )
