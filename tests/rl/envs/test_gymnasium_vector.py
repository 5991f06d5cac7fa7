"""A batch of Gymnasium environments against the same environments stepped by hand."""

import sys
import zlib

import gymnasium
import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import Environment as EnvironmentConfig
from trainer.errors import UserError
from trainer.rl.envs import gymnasium_episode, registry
from trainer.rl.envs.vector import failures_as_user_errors
from trainer.rl.specs import Box

pytestmark = pytest.mark.usefixtures("in_users_folder")

SEED = tf.constant([1, 2], tf.int64)


def make(name, **settings):
    return registry.make(EnvironmentConfig(name=name, backend="gymnasium", **settings))


def roll(environment, carry, steps, batch=3):
    """Fixed actions, inside a graph; returns every output as arrays."""
    step = tf.function(environment.step)
    outputs = []
    for index in range(steps):
        numbers = [(index * 7 + i * 3) // 4 for i in range(batch)]
        if isinstance(environment.spec.action, Box):
            size = len(environment.spec.action.low)
            action = tf.constant([[number % 5 / 10 - 0.2] * size for number in numbers])
        else:
            action = tf.constant([number % environment.spec.action.n for number in numbers])
        carry, output = step(carry, action, SEED)
        outputs.append(tf.nest.map_structure(lambda value: value.numpy(), output))
    return carry, outputs


def test_steps_each_as_gymnasium_alone_does():
    ours = make("CartPole-v1", time_limit=12)
    carry = ours.initial(SEED, 3)

    def seed(environment, episode):
        return zlib.crc32(f"1/2/{environment}/{episode}".encode()) & 0x7FFFFFFF

    theirs = [gymnasium.make("CartPole-v1", max_episode_steps=12) for _ in range(3)]
    current = [env.reset(seed=seed(i, 0))[0] for i, env in enumerate(theirs)]
    np.testing.assert_array_equal(ours.observe(carry), current)
    assert len(np.unique(current, axis=0)) == 3
    _, outputs = roll(ours, carry, 60)
    returns, episodes = np.zeros(3), np.zeros(3, int)
    for index, output in enumerate(outputs):
        for i, env in enumerate(theirs):
            action = (index * 7 + i * 3) // 4 % 2
            observation, reward, terminated, truncated, _ = env.step(action)
            returns[i] += reward
            np.testing.assert_array_equal(output.next_observation[i], observation)
            assert output.terminated[i] == terminated
            assert output.truncated[i] == truncated
            assert output.episode_return[i] == output.episode_length[i] == returns[i]
            if terminated or truncated:
                returns[i] = 0
                episodes[i] += 1
                observation, _ = env.reset(seed=seed(i, episodes[i]))
            np.testing.assert_array_equal(output.reset_observation[i], observation)
    assert episodes.sum() > 6
    assert {type(ours.spec.observation_shape), type(ours.spec.action.n)} == {tuple, int}


def test_a_users_class_with_discrete_observations_and_shifted_actions():
    ours = make("own_environments:Walk")
    assert (ours.spec.observation_shape, ours.spec.action.n) == ((5,), 2)
    carry = ours.initial(SEED, 3)
    np.testing.assert_array_equal(ours.observe(carry), np.eye(5)[[2, 2, 2]])
    _, outputs = roll(ours, carry, 20)
    assert {reward for output in outputs for reward in output.reward} == {5.0, 6.0}
    for output in outputs:
        place = output.next_observation.argmax(-1)
        np.testing.assert_array_equal(output.terminated, (place == 0) | (place == 4))
        assert not output.truncated.any()


def test_observations_keep_uint8_and_become_float32():
    assert make("own_environments:Pixels").spec.observation_dtype == tf.uint8
    assert make("own_environments:Vector").spec.observation_dtype == tf.float32


def test_time_limit_truncates_a_users_class():
    ours = make("own_environments:Vector", time_limit=4)
    _, outputs = roll(ours, ours.initial(SEED, 3), 9)
    ends = [index for index, output in enumerate(outputs) if output.truncated.all()]
    assert ends == [3, 7]
    assert not any(output.terminated.any() for output in outputs)


@pytest.mark.parametrize(
    "name",
    [
        "CartPole-v1",
        "FrozenLake-v1",
        "LunarLander-v3",
        "own_environments:Walk",
        "own_environments:Pixels",
        "own_environments:ForgetsState",
        "own_environments:Shifting",
    ],
)
def test_a_restored_batch_continues_identically(name):
    first = make(name, time_limit=9)
    carry, _ = roll(first, first.initial(SEED, 3), 25)
    state = first.state_bytes()
    _, expected = roll(first, carry, 40)
    second = make(name, time_limit=9)
    second.initial(tf.constant([5, 5]), 3)
    assert second.restore_bytes(state) == ""
    assert second.state_bytes() == state
    _, actual = roll(second, carry, 40)
    tf.nest.map_structure(np.testing.assert_array_equal, actual, expected)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Unseeded", "is not deterministic"),
        ("UnseededReward", "is not deterministic"),
        ("Learns", "is not deterministic"),
        ("StopsWorking", "failed with RuntimeError: the simulator is gone"),
    ],
)
def test_episodes_that_cannot_be_repeated_say_so_and_start_again(name, reason, monkeypatch):
    first = make(f"own_environments:{name}", time_limit=9)
    roll(first, first.initial(SEED, 3), 25)
    second = make(f"own_environments:{name}", time_limit=9, frame_stack=2)
    second.initial(SEED, 3)
    message = f"environment 'own_environments:{name}' {reason}"
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["own_environments"].StopsWorking, "works", False)
        assert second.restore_bytes(first.state_bytes()) == message
    roll(second, second.initial(SEED, 3), 2)


def test_environments_in_tensorflow_have_no_python_state():
    ours = registry.make(EnvironmentConfig(name="Catch-v0"))
    assert ours.state_bytes() == b""
    assert ours.restore_bytes(b"") == ""


def test_the_record_of_an_episode_is_compact_and_bounded(monkeypatch):
    monkeypatch.setattr(gymnasium_episode, "LONGEST_RECORD", 6000)
    ours = make("own_environments:Pixels")
    roll(ours, ours.initial(SEED, 3), 600)
    # One byte per action, in base64.
    assert 600 * 3 < len(ours.state_bytes()) < 600 * 3 * 4 / 3 + 400
    assert ours.restore_bytes(ours.state_bytes()) == ""
    monkeypatch.setattr(gymnasium_episode, "LONGEST_RECORD", 500)
    short = make("own_environments:Pixels")
    roll(short, short.initial(SEED, 3), 501)
    assert len(short.state_bytes()) < 400
    assert "has more than" in short.restore_bytes(short.state_bytes())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Raises", "'own_environments:Raises' failed in step() with "
                   "RuntimeError: out of cheese"),
        ("NanObservation", "must return a finite observation. Received: nan"),
        ("InfiniteReward", "must return a finite reward. Received: inf"),
        ("WrongShape", "must return observations of shape (2,), as its observation space "
                       "declares. Received: shape (3,)"),
        ("OldInterface", "failed in step() with ValueError: not enough values"),
        ("OutsideItsSpace", "in its Discrete(5, start=10). Received: 9"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("frame_stack", [1, 2])
def test_an_error_during_a_run_is_a_user_error(name, message, frame_stack):
    ours = make(f"own_environments:{name}", frame_stack=frame_stack)
    carry = ours.initial(SEED, 3)
    with pytest.raises(UserError) as caught, failures_as_user_errors(ours):
        roll(ours, carry, 5)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_goes_wrong_at_reset_is_the_users_error():
    ours = make("own_environments:RaisesAtReset")
    with pytest.raises(UserError, match=r"failed in reset\(\) with KeyError"), \
            failures_as_user_errors(ours):  # fmt: skip
        ours.initial(SEED, 2)


def test_other_failures_of_tensorflow_stay_as_they_are():
    ours = make("own_environments:Vector")
    with pytest.raises(tf.errors.InvalidArgumentError), failures_as_user_errors(ours):
        tf.reshape(tf.zeros([3]), [2])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CartPole-v9", r"Did you mean 'CartPole-v1'\? Known: .*Received: 'CartPole-v9"),
        ("no_such_module:Env", "there is no module 'no_such_module'"),
        ("broken_module:Env", "fails on import with ValueError: this module does not load"),
        ("own_environments:Pixel", "Did you mean 'Pixels'.*Received: 'Pixel'"),
        ("own_environments:NOT_A_CLASS", "subclass of gymnasium.Env. Received: 'own_environments"),
        ("own_environments:NeedsArguments", r"cannot be created: TypeError.*size"),
        ("own_environments:NoSpaces", "must be Discrete or Box. Received: None"),
        (
            "own_environments:Composite",
            "or a Box with at least one axis.*Received: Dict",
        ),
        ("Blackjack-v1", "observation space of 'Blackjack-v1' must be Discrete.*Received: Tuple"),
    ],
)
def test_unsupported_environments_are_refused_in_one_line(name, message):
    with pytest.raises(UserError, match=message) as caught:
        make(name)
    assert "\n" not in str(caught.value)


def test_continuous_actions_are_passed_on_in_their_space():
    ours = make("Pendulum-v1")
    assert ours.spec.action == Box((-2.0,), (2.0,))
    carry = ours.initial(SEED, 2)
    theirs = gymnasium.make("Pendulum-v1", disable_env_checker=True)
    theirs.reset()
    for action in ([[0.5], [-2.0]], [[1.5], [0.0]]):
        before = ours.observe(carry).numpy()
        carry, output = ours.step(carry, tf.constant(action), SEED)
        for i in range(2):
            cos, sin, velocity = before[i]
            theirs.unwrapped.state = np.array([np.arctan2(sin, cos), velocity])
            observation, reward, *_ = theirs.step(np.float32(action[i]))
            np.testing.assert_allclose(
                output.next_observation[i], observation, rtol=1e-4, atol=1e-5
            )
            np.testing.assert_allclose(output.reward[i], reward, rtol=1e-4, atol=1e-5)


def test_an_id_may_name_the_module_that_registers_it():
    gymnasium.register("Own-v0", entry_point="own_environments:Walk", max_episode_steps=2)
    try:
        ours = make("own_environments:Own-v0")
    finally:
        del gymnasium.registry["Own-v0"]
    assert ours.spec.action.n == 2


def test_pictures_need_a_render_mode(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    ours = make("CartPole-v1", arguments=("render_mode=rgb_array",))
    pictures = ours.render(ours.initial(SEED, 2))
    assert pictures.shape == (2, 400, 600, 3)
    assert pictures.dtype == np.uint8
    assert (pictures[0] != pictures[1]).any()
    without = make("FrozenLake-v1", arguments=("render_mode=ansi",))
    expected = r"must return uint8 pixels .* with render_mode='rgb_array'. Received: str"
    with pytest.raises(UserError, match=expected):
        without.render(without.initial(SEED, 1))
    own = make("own_environments:Walk")
    with pytest.raises(UserError, match=r"failed in render\(\) with NotImplementedError"):
        own.render(own.initial(SEED, 1))


def test_warnings_of_gymnasium_are_not_shown(recwarn, capfd):
    make("CartPole-v0").initial(SEED, 1)
    assert not recwarn.list
    assert not capfd.readouterr().err


def test_own_modules_are_found_in_the_current_directory():
    sys.path[:] = [entry for entry in sys.path if entry not in ("", sys.path[-1])]
    sys.modules.pop("own_environments", None)
    assert make("own_environments:Walk").spec.action.n == 2
