"""Arguments, wrappers and flattening of Gymnasium environments."""

import gymnasium
import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import Environment as EnvironmentConfig
from trainer.config import overrides
from trainer.errors import UserError
from trainer.rl.envs import gymnasium_registry, registry

pytestmark = pytest.mark.usefixtures("in_users_folder")

SEED = tf.constant([1, 2])


def section(name, **values):
    """The section as the command line makes it: values are text."""
    section = EnvironmentConfig(name=name, backend="gymnasium")
    return overrides.apply(section, values)


def test_arguments_reach_the_constructor_of_a_class():
    config = section("own_environments:Sized", arguments="size=3,label=8x8,value=-1.5")
    environment = gymnasium_registry.find(config)()
    assert (environment.label, environment.value) == ("8x8", -1.5)
    assert registry.make(config).spec.observation_shape == (3,)


def test_arguments_reach_a_registered_environment():
    config = section("LunarLander-v3", arguments="continuous=true,gravity=-5")
    environment = gymnasium_registry.find(config)().unwrapped
    assert (environment.continuous, environment.gravity) == (True, -5)


def test_wrappers_apply_in_order():
    for wrappers, expected in (
        ("own_environments:doubles,own_environments:AddsOne", 3),
        ("own_environments:AddsOne,own_environments:doubles", 4),
    ):
        ours = registry.make(section("own_environments:Sized", wrappers=wrappers))
        _, output = ours.step(ours.initial(SEED, 2), tf.constant([0, 1]), SEED)
        np.testing.assert_array_equal(output.next_observation, np.full((2, 2), expected))


def test_the_time_limit_counts_the_steps_outside_all_wrappers():
    config = section("CartPole-v1", wrappers="own_environments:doubles", time_limit="7")
    environment = gymnasium_registry.find(config)()
    assert isinstance(environment, gymnasium.wrappers.TimeLimit)
    limits = [environment]
    while isinstance(limits[-1], gymnasium.Wrapper):
        limits.append(limits[-1].env)
    assert sum(isinstance(each, gymnasium.wrappers.TimeLimit) for each in limits) == 1


def test_dict_and_tuple_observations_are_flattened_on_request():
    ours = registry.make(section("own_environments:DictAndTuple", flatten="true"))
    assert ours.spec.observation_shape == (5,)
    carry = ours.initial(SEED, 2)
    np.testing.assert_array_equal(ours.observe(carry), [[1, 0, 0, 0, 0]] * 2)
    _, output = ours.step(carry, tf.constant([0, 1]), SEED)
    np.testing.assert_array_equal(output.next_observation, [[0, 1, 0, 1, 1]] * 2)
    assert registry.make(section("Blackjack-v1", flatten="true")).spec.observation_shape == (45,)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("CartPole-v1", {"arguments": "weight=3"}, "unexpected keyword argument 'weight'"),
        ("own_environments:Walk", {"arguments": "weight=3"}, r"TypeError: .*\('weight=3',\)"),
        ("CartPole-v1", {"arguments": "weight"}, "arguments must have the form name=value"),
        ("CartPole-v1", {"wrappers": "doubles"}, "must have the form module:attribute"),
        ("CartPole-v1", {"wrappers": "own_environments:double"}, "Did you mean 'doubles'"),
        (
            "CartPole-v1",
            {"wrappers": "own_environments:fails"},
            "wrapper 'own_environments:fails' cannot be applied: ValueError: does not fit",
        ),
        (
            "CartPole-v1",
            {"wrappers": "own_environments:returns_nothing"},
            "must return a gymnasium.Env. Received: None",
        ),
        ("own_environments:DictAndTuple", {}, "set environment.flatten=true"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(name, values, message):
    with pytest.raises(UserError, match=message) as caught:
        registry.make(section(name, **values))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [{"arguments": ("gravity=3",)}, {"wrappers": ("own_environments:doubles",)}, {"flatten": True}],
    ids=lambda values: next(iter(values)),
)
def test_environments_in_tensorflow_have_no_such_settings(values):
    for backend in ("auto", "tensorflow"):
        with pytest.raises(UserError, match=r"set environment\.backend=gymnasium or leave it out"):
            registry.make(EnvironmentConfig(backend=backend, **values))
    registry.make(EnvironmentConfig(backend="gymnasium", flatten=True))
