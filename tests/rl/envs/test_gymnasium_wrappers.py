"""Preprocessing of Atari games, on a small game and on Breakout itself."""

import sys

import gymnasium
import numpy as np
import pytest

from tests.rl.envs.games import Lives
from trainer.compat.keras import tf
from trainer.config import Environment as EnvironmentConfig
from trainer.errors import UserError
from trainer.rl.envs import registry
from trainer.rl.envs.gymnasium_wrappers import FrameSkip, NoopStarts, StickyActions

GAME = "tests.rl.envs.games:Lives"
SEED = tf.constant([1, 2])


def test_frames_are_skipped_and_the_last_two_combined():
    ours = FrameSkip(Lives(), 3)
    ours.reset(seed=0)
    observation, reward, terminated, _, info = ours.step(2)
    assert ours.unwrapped.actions == [2, 2, 2]
    assert (reward, terminated, info["lives"]) == (1 + 2 + 3, False, 3)
    assert observation[0, :2, 0].tolist() == [2, 3]


def test_a_skip_ends_with_the_episode():
    ours, theirs = (wrap(Lives(), 4) for wrap in
                    (FrameSkip, gymnasium.wrappers.MaxAndSkipObservation))  # fmt: skip
    for environment in (ours, theirs):
        environment.reset(seed=0)
    for index in range(4):
        observation, *mine = ours.step(index)
        expected, *rest = theirs.step(index)
        assert mine == rest
        if index < 3:
            np.testing.assert_array_equal(observation, expected)
    assert mine[1]
    # Frames 14 and 15, where Gymnasium's wrapper shows frames of the step before.
    assert observation[0, :2, 0].tolist() == [14, 15]


def test_other_observations_are_those_of_the_last_frame():
    ours, plain = FrameSkip(gymnasium.make("CartPole-v1"), 2), gymnasium.make("CartPole-v1")
    for environment in (ours, plain):
        environment.reset(seed=3)
    plain.step(0)
    np.testing.assert_array_equal(ours.step(0)[0], plain.step(0)[0])


def test_no_ops_are_drawn_from_the_seed():
    ours = NoopStarts(Lives(), 4)
    counts = []
    for seed in range(200):
        ours.reset(seed=seed)
        assert set(ours.unwrapped.actions) == {0}
        counts.append(len(ours.unwrapped.actions))
    assert np.unique(counts).tolist() == [1, 2, 3, 4]
    assert min(np.bincount(counts)[1:]) > 30
    ours.reset(seed=7)
    assert len(ours.unwrapped.actions) == counts[7]


def test_an_episode_that_ends_in_its_no_ops_begins_without_them():
    ours = NoopStarts(Lives(), 1000)
    observation, info = ours.reset(seed=0)
    np.testing.assert_array_equal(observation, Lives().reset(seed=0)[0])
    assert info == {"lives": 3}


def test_sticky_actions_repeat_with_their_probability():
    ours = StickyActions(Lives(), 0.25)
    given, taken = [], []
    for seed in range(400):
        ours.reset(seed=seed)
        # Different actions, so that a repetition is seen.
        actions = [(seed + index) % 4 for index in range(10)]
        for action in actions:
            ours.step(action)
        assert ours.unwrapped.actions[0] == actions[0]
        given += actions[1:]
        taken += ours.unwrapped.actions[1:]
    assert np.mean(np.array(given) != taken) == pytest.approx(0.25, abs=0.025)
    first = ours.unwrapped.actions
    ours.reset(seed=399)
    for action in actions:
        ours.step(action)
    assert ours.unwrapped.actions == first


def play(environment, steps, size=2):
    carry = environment.initial(SEED, size)
    outputs = []
    for index in range(steps):
        action = tf.fill([size], index % environment.spec.action.n)
        carry, output = environment.step(carry, action, SEED)
        outputs.append(tf.nest.map_structure(lambda value: value.numpy(), output))
    return carry, outputs


def test_a_lost_life_ends_an_episode_of_training_only():
    config = EnvironmentConfig(name=GAME, life_loss=True)
    _, learning = play(registry.make(config), 15)
    assert [output.terminated[0] for output in learning] == [False, False, False, False, True] * 3
    # The game continues with the frame that it is in, and starts again after the last life.
    assert [learning[i].reset_observation[0].max(axis=(1, 2))[0] for i in (4, 9, 14)] == [5, 10, 0]
    assert learning[4].episode_return[0] == 15
    assert learning[9].episode_return[0] == 40
    _, evaluating = play(registry.make_split(config, "test"), 15)
    assert [i for i, output in enumerate(evaluating) if output.terminated[0]] == [14]
    assert evaluating[14].episode_return[0] == sum(range(1, 16))


def test_an_environment_without_lives_is_refused_in_one_line():
    environment = registry.make(
        EnvironmentConfig(name="CartPole-v1", backend="gymnasium", life_loss=True)
    )
    with pytest.raises(UserError, match=r"counts lives in info\['lives'\].*Received: info with"):
        environment.initial(SEED, 1)


PREPROCESSED = {
    "frame_skip": 3,
    "noop_starts": 5,
    "life_loss": True,
    "clip_rewards": "sign",
    "sticky_actions": 0.25,
    "grayscale": True,
    "frame_stack": 2,
}


def check_exact_resume(config, steps):
    first = registry.make(config)
    carry, _ = play(first, steps, 3)
    state = first.state_bytes()
    second = registry.make(config)
    second.initial(tf.constant([5, 5]), 3)
    assert second.restore_bytes(state) == ""
    for index in range(60):
        action = tf.fill([3], index * 3 % first.spec.action.n)
        (_, expected), (carry, output) = (
            environment.step(carry, action, SEED) for environment in (first, second)
        )
        tf.nest.map_structure(np.testing.assert_array_equal, output, expected)
    assert second.state_bytes() == first.state_bytes()


def test_a_preprocessed_game_resumes_exactly():
    check_exact_resume(EnvironmentConfig(name=GAME, resize=(2, 3), **PREPROCESSED), 7)


def test_no_ops_need_discrete_actions():
    with pytest.raises(UserError, match=r"noop_starts needs discrete actions.*Received: Box"):
        registry.make(EnvironmentConfig(name="Pendulum-v1", backend="gymnasium", noop_starts=3))


@pytest.fixture
def atari():
    pytest.importorskip("ale_py", reason="ale-py is not installed")


@pytest.mark.usefixtures("atari")
def test_breakout_as_in_the_literature_resumes_exactly(capfd):
    arguments = ("frameskip=1", "repeat_action_probability=0")
    config = EnvironmentConfig(
        name="ALE/Breakout-v5", arguments=arguments, resize=(84, 84), **PREPROCESSED
    )
    environment = registry.make(config)
    assert environment.spec.observation_shape == (84, 84, 2)
    check_exact_resume(config, 150)
    assert "Arcade" not in capfd.readouterr().err


@pytest.mark.usefixtures("atari")
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frame_skip": 4}, "add frameskip=1 to environment.arguments. Received: frameskip=4"),
        ({"sticky_actions": 0.1}, r"add repeat_action_probability=0\.0 to environment.arguments"),
    ],
    ids=["frame_skip", "sticky_actions"],
)
def test_what_a_game_does_itself_is_not_done_twice(values, message):
    with pytest.raises(UserError, match=message):
        registry.make(EnvironmentConfig(name="ALE/Breakout-v5", **values))


def test_a_missing_ale_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(UserError, match=r"'ALE/Pong-v5' needs ale-py; .*`pip install ale-py`"):
        registry.make(EnvironmentConfig(name="ALE/Pong-v5"))
