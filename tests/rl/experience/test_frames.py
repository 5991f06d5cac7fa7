"""A replay that stores each frame once against one that stores whole observations."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.compat.keras import tf
from trainer.config import PrioritizedReplay, UniformReplay
from trainer.engine import distribution
from trainer.rl.experience.replay import Sample, make_replay, memory_bytes
from trainer.rl.experience.steps import Steps
from trainer.rl.specs import Discrete, EnvironmentSpec

HEIGHT, WIDTH, CHANNELS = 2, 1, 2
KINDS = {"uniform": UniformReplay, "prioritized": PrioritizedReplay}


def spec(stack):
    shape = (HEIGHT, WIDTH, stack * CHANNELS)
    return EnvironmentSpec(shape, tf.uint8, Discrete(9), frame_stack=stack)


class Play:
    """Environments of random frames, stacked as FrameStack does."""

    def __init__(self, seed, stack, num_envs, end_probability):
        self.random = np.random.default_rng(seed)
        self.stack, self.num_envs, self.end_probability = stack, num_envs, end_probability
        self.restart()

    def frame(self):
        return self.random.integers(0, 256, (HEIGHT, WIDTH, CHANNELS)).astype(np.uint8)

    def restart(self):
        self.recent = [[self.frame()] * self.stack for _ in range(self.num_envs)]

    def observation(self):
        return np.stack([np.concatenate(each, axis=-1) for each in self.recent])

    def steps(self, count):
        taken = []
        for _ in range(count):
            observation = self.observation()
            self.recent = [[*each[1:], self.frame()] for each in self.recent]
            following = self.observation()
            ended = self.random.random(self.num_envs) < self.end_probability
            for number in np.flatnonzero(ended):
                self.recent[number] = [self.frame()] * self.stack
            reward = self.random.normal(size=self.num_envs).astype(np.float32)
            terminated = ended & (self.random.random(self.num_envs) < 0.5)
            discount = np.where(terminated, 0, 0.9).astype(np.float32)
            action = self.random.integers(0, 9, self.num_envs).astype(np.int32)
            taken.append((observation, action, reward, discount, ended, following))
        return Steps(*(tf.constant(np.stack(fields)) for fields in zip(*taken, strict=True)), ())


def pair(config, n, num_envs, stack):
    """A replay of frames, and one of whole observations."""
    once = spec(stack)
    return [
        make_replay(config, n, num_envs, 1, each, compiles=False)
        for each in (once, dataclasses.replace(once, frame_stack=1))
    ]


def stored_slots(made):
    return made._ring.locate(tf.range(made.size()))


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def eagerly():
    """Without tracing a function for each example."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eagerly")
@given(
    kind=st.sampled_from(sorted(KINDS)),
    seed=st.integers(0, 999),
    stack=st.integers(2, 4),
    num_envs=st.integers(1, 3),
    n=st.integers(1, 4),
    per_add=st.integers(1, 5),
    adds=st.integers(1, 8),
    rows=st.integers(5, 16),
    end_probability=st.sampled_from([0.0, 0.03, 0.3, 1.0]),
    restart_at=st.integers(0, 12),
)
@settings(deadline=None, max_examples=20)
def test_transitions_and_batches_are_those_of_a_plain_ring(
    kind, seed, stack, num_envs, n, per_add, adds, rows, end_probability, restart_at
):
    config = KINDS[kind](capacity=rows * num_envs, min_size=1)
    once, plain = pair(config, n, num_envs, stack)
    play = Play(seed, stack, num_envs, end_probability)
    for number in range(adds):
        if number == restart_at:
            play.restart()
            once.end_episodes()
            plain.end_episodes()
        steps = play.steps(per_add)
        once.add(steps)
        plain.add(steps)
        size, whole = int(once.size()), int(plain.size())
        # One frame per transition is there, and an ended episode takes one more.
        assert min(whole, num_envs * (rows // 2)) <= size <= whole
        if end_probability == 0.0:
            assert size == whole
        slots = stored_slots(once)
        assert len(set(slots.numpy().tolist())) == size
        assert_equal(once._read(slots), plain._read(slots))
        if not size:
            continue
        samples = [
            each.batches(2, 4, tf.constant([seed, number]), tf.constant(0.5))
            for each in (once, plain)
        ]
        assert set(samples[0].slots.numpy()) <= set(slots.numpy())
        if size == whole:
            assert_equal(samples[0].transitions, samples[1].transitions)
            assert_equal(samples[0][1:], samples[1][1:])
        priorities = tf.constant(play.random.random(size), tf.float32)
        for each in (once, plain):
            each.feedback(Sample((), slots, ()), priorities)


def test_the_newest_transitions_are_kept_when_frames_run_out():
    once, plain = pair(UniformReplay(capacity=64, min_size=1), 1, 1, 2)
    play = Play(0, 2, 1, end_probability=1.0)
    for _ in range(100):
        steps = play.steps(1)
        once.add(steps)
        plain.add(steps)
    # Two frames per transition.
    assert 32 <= int(once.size()) < 64
    newest = (np.arange(100 - int(once.size()), 100) % 64).tolist()
    assert sorted(stored_slots(once).numpy().tolist()) == sorted(newest)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("jit", [False, True] if distribution.xla_compiles_for_cpus() else [False])
def test_adding_and_drawing_compile(kind, jit):
    once, plain = pair(KINDS[kind](capacity=16, min_size=1), 3, 2, 4)
    play = Play(0, 4, 2, end_probability=0.1)

    @tf.function(jit_compile=jit)
    def turn(steps):
        once.add(steps)
        sample = once.batches(2, 4, tf.constant([0, 0]), tf.constant(0.0))
        once.feedback(sample, tf.abs(sample.transitions.reward))
        return sample

    for _ in range(10):
        steps = play.steps(3)
        plain.add(steps)
        sample = turn(steps)
        assert_equal(sample.transitions, plain._read(sample.slots))


def test_memory_is_known_before_it_is_allocated():
    config = UniformReplay(capacity=16_000)
    for stack in (2, 4):
        taken = sum(v.numpy().nbytes for v in pair(config, 3, 4, stack)[0].variables)
        assert 0 <= taken - memory_bytes(config, spec(stack)) < 2500


def test_a_million_stacks_of_atari_take_an_eighth():
    atari = EnvironmentSpec((84, 84, 4), tf.uint8, Discrete(18), frame_stack=4)
    config = UniformReplay(capacity=1_000_000)
    plain = memory_bytes(config, dataclasses.replace(atari, frame_stack=1))
    assert 56e9 < plain < 57e9
    assert 7e9 < memory_bytes(config, atari) < 7.6e9
