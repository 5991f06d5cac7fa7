"""Which backend a name leads to, and what is refused."""

import subprocess
import sys

import pytest

from trainer.config import Environment as EnvironmentConfig
from trainer.errors import UserError
from trainer.rl.envs import registry


@pytest.mark.parametrize("name", sorted(registry.IN_GRAPH))
@pytest.mark.parametrize("backend", ["auto", "tensorflow"])
def test_known_names_run_in_the_graph(name, backend):
    assert registry.make(EnvironmentConfig(name=name, backend=backend)).in_graph


@pytest.mark.parametrize(
    ("name", "backend"), [("CartPole-v1", "gymnasium"), ("FrozenLake-v1", "auto")]
)
def test_other_names_are_gymnasiums(name, backend):
    assert not registry.make(EnvironmentConfig(name=name, backend=backend)).in_graph


@pytest.mark.parametrize(
    ("name", "backend", "nearest"),
    [
        ("Cach-v0", "auto", "Catch-v0"),
        ("FrozenLak-v1", "auto", "FrozenLake-v1"),
        ("FrozenLake-v1", "tensorflow", "Known: Acrobot-v1, CartPole-v0"),
        ("Catch-v0", "gymnasium", "Known: "),
    ],
)
def test_an_unknown_name_lists_the_nearest(name, backend, nearest):
    with pytest.raises(UserError, match=f"{nearest}.*Received: '{name}'"):
        registry.make(EnvironmentConfig(name=name, backend=backend))


def test_of_many_names_only_the_like_are_listed():
    with pytest.raises(UserError) as caught:
        registry.make(EnvironmentConfig(name="Acrobat-v1"))
    message = str(caught.value)
    assert "Did you mean 'Acrobot-v1'? Known: Acrobot-v1, " in message
    assert " more. Received: 'Acrobat-v1'" in message
    assert len(message) < 400


def test_time_limit_replaces_the_environments_own():
    environment = registry.make(EnvironmentConfig(name="CartPole-v1", time_limit=7))
    assert environment._time_limit == 7


def test_gymnasium_is_not_loaded_for_the_graph():
    program = (
        "import sys; from trainer.config import rl; from trainer.rl.envs import registry; "
        "registry.make(rl.Environment(name='Catch-v0', frame_stack=2)); "
        "sys.exit('gymnasium' in sys.modules or 'gym' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
