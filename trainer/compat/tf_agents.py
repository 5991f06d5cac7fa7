"""Sole import point for TF-Agents: policies and their export, without its warnings.

Importing this module raises `UserError` if TF-Agents is not installed.
"""

import contextlib
import sys
import types
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from trainer.compat.import_silence import quiet_libraries

# It determines which Keras TF-Agents loads.
from trainer.compat.keras import keras, tf
from trainer.errors import UserError

if not find_spec("tf_agents"):
    raise UserError(
        "this command needs TF-Agents, which is not installed; run make setup in a checkout, or "
        "pip install --no-deps -r requirements/default.txt"
    )


@contextlib.contextmanager
def _without_gym() -> Iterator[None]:
    """Lets TF-Agents import without `gym`, the unmaintained predecessor of Gymnasium.

    One module of TF-Agents imports `gym` and uses it only for environments in other processes.
    An empty module replaces it during the import; a later `import gym` is unaffected.
    """
    if "gym" in sys.modules:
        yield
        return
    sys.modules["gym"] = types.ModuleType("gym")
    try:
        yield
    finally:
        del sys.modules["gym"]


with quiet_libraries(), _without_gym():
    from tf_agents.networks.sequential import Sequential
    from tf_agents.policies.actor_policy import ActorPolicy
    from tf_agents.policies.greedy_policy import GreedyPolicy
    from tf_agents.policies.policy_saver import PolicySaver
    from tf_agents.policies.q_policy import QPolicy
    from tf_agents.policies.tf_policy import TFPolicy
    from tf_agents.specs import BoundedTensorSpec
    from tf_agents.trajectories import time_step_spec

# AutoGraph compiles TF-Agents' source again, and Python then warns about `is ()`.
warnings.filterwarnings("ignore", category=SyntaxWarning, message='"is')
# An exported policy returns a distribution's type only to those who ask for distributions.
warnings.filterwarnings("ignore", category=UserWarning, message="Encoding a StructuredValue")

__all__ = ["PolicySaver", "TFPolicy", "actor_policy", "greedy_q_policy"]


def greedy_q_policy(network: keras.Model, observation_spec: tf.TensorSpec, num_actions: int) -> Any:
    """The greedy policy of Q values.

    Args:
      network: from observations `[B, ...]` to Q values `[B, actions]` float32.
      observation_spec: of one observation.
      num_actions: number of actions.
    """
    action = BoundedTensorSpec((), tf.int32, 0, num_actions - 1, "action")
    q_network = Sequential([network], input_spec=observation_spec)
    return GreedyPolicy(QPolicy(time_step_spec(observation_spec), action, q_network))


def actor_policy(
    network: keras.layers.Layer,
    observation_spec: tf.TensorSpec,
    low: tuple[float, ...],
    high: tuple[float, ...],
) -> Any:
    """The policy of a network of actions.

    Args:
      network: from observations to actions `[B, A]`.
      observation_spec: of one observation.
      low: lower bound of each of the A components.
      high: upper bounds.
    """
    action = BoundedTensorSpec((len(low),), tf.float32, low, high, "action")
    return ActorPolicy(
        time_step_spec=time_step_spec(observation_spec),
        action_spec=action,
        actor_network=Sequential([network], input_spec=observation_spec),
    )
