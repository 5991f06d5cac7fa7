"""Resets, truncation and the carry of environments inside the graph."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import Environment as EnvironmentConfig
from trainer.engine import distribution
from trainer.rl.envs import registry
from trainer.rl.envs.base import Environment
from trainer.rl.envs.tensorflow_vector import TensorFlowVector
from trainer.rl.specs import Box, Discrete


class Countdown(Environment):
    """Starts at 3 and 5 in turn, falls by the action, and ends at 0."""

    observation_shape = (1,)
    action_spec = Discrete(2)
    time_limit = 3

    def reset(self, seed, batch_size):
        del seed
        return tf.where(tf.range(batch_size) % 2 == 0, 3.0, 5.0)

    def step(self, state, action, seed):
        del seed
        state -= tf.cast(action, tf.float32)
        return state, 10.0 + state, state <= 0.0

    def observe(self, state):
        return state[:, None]

    def render(self, state):
        raise NotImplementedError


def test_each_element_ends_and_starts_again_by_itself():
    ours = TensorFlowVector("Countdown", Countdown())
    carry = ours.initial(tf.constant([0, 0]), 4)
    outputs = []
    for index in range(4):
        carry, output = ours.step(carry, tf.constant([1, 1, 0, 0]), tf.constant([0, index]))
        outputs.append(tf.nest.map_structure(lambda value: value.numpy().tolist(), output))
    # Element 0 reaches 0 at the very step of the limit: both, as Gymnasium has it.
    assert outputs[2].next_observation == [[0.0], [2.0], [3.0], [5.0]]
    assert outputs[2].reset_observation == [[3.0], [5.0], [3.0], [5.0]]
    assert outputs[2].terminated == [True, False, False, False]
    assert outputs[2].truncated == [True] * 4
    assert outputs[2].episode_return == [33.0, 39.0, 39.0, 45.0]
    assert outputs[2].episode_length == [3] * 4
    assert outputs[1].terminated == outputs[1].truncated == [False] * 4
    assert outputs[3].next_observation == [[2.0], [4.0], [3.0], [5.0]]
    assert outputs[3].reset_observation == outputs[3].next_observation
    assert outputs[3].episode_return == [12.0, 14.0, 13.0, 15.0]
    assert outputs[3].episode_length == [1] * 4


def test_termination_before_the_limit_is_no_truncation():
    ours = TensorFlowVector("Countdown", Countdown(), time_limit=4)
    carry = ours.initial(tf.constant([0, 0]), 2)
    for index in range(3):
        carry, output = ours.step(carry, tf.constant([1, 1]), tf.constant([0, index]))
    assert output.terminated.numpy().tolist() == [True, False]
    assert output.truncated.numpy().tolist() == [False, False]
    assert carry.elapsed.numpy().tolist() == [0, 3]
    assert carry.episode_return.numpy().tolist() == [0.0, 39.0]


def random_action(environment, seed):
    spec = environment.spec.action
    if isinstance(spec, Box):
        return tf.random.stateless_uniform([4, len(spec.low)], seed, spec.low, spec.high)
    return tf.random.stateless_uniform([4], seed, 0, spec.n, tf.int32)


def random_walk(environment, *, jit):
    """Random actions from one step's number to another's, in one compiled loop."""

    @tf.function(jit_compile=jit)
    def loop(carry, first, last):
        total = tf.zeros([4])
        for index in tf.range(first, last):
            seed = tf.stack([17, index])
            carry, output = environment.step(carry, random_action(environment, seed), seed)
            total += output.reward + tf.cast(output.terminated, tf.float32)
        return carry, total

    def run(carry, first, last):
        arrays = loop(carry, tf.constant(first), tf.constant(last))
        return tf.nest.map_structure(lambda value: value.numpy(), arrays)

    return run


@pytest.mark.parametrize("name", sorted(registry.IN_GRAPH))
@pytest.mark.parametrize("jit", [False, True] if distribution.xla_compiles_for_cpus() else [False])
def test_is_a_function_of_the_seed_and_resumes_from_its_carry(name, jit):
    stack = 3 if jit else 1
    ours = registry.make(EnvironmentConfig(name=name, frame_stack=stack, time_limit=40))
    start = ours.initial(tf.constant([1, 2]), 4)
    run = random_walk(ours, jit=jit)
    whole = run(start, 0, 100)
    tf.nest.map_structure(np.testing.assert_array_equal, whole, run(start, 0, 100))
    middle, _ = run(start, 0, 37)
    resumed, _ = run(tf.nest.map_structure(tf.constant, middle), 37, 100)
    tf.nest.map_structure(np.testing.assert_array_equal, whole[0], resumed)
    # Some games have two starts only: enough episodes for two seeds to differ.
    first, other = (
        ours.observe(ours.initial(tf.constant(seed), 32)).numpy() for seed in ([1, 2], [1, 3])
    )
    assert (other != first).any()
    assert other.shape == (32, *ours.spec.observation_shape)
    assert other.dtype == ours.spec.observation_dtype.as_numpy_dtype
