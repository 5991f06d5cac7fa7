"""The one door to TF-Agents: what this project uses of it, without its warnings.

Importing this module raises `UserError` where TF-Agents is not installed.
"""

import contextlib
import sys
import types
import warnings
from collections.abc import Iterator
from importlib.util import find_spec

# It says which Keras TF-Agents will load.
import trainer.backend  # noqa: F401
from trainer.errors import UserError
from trainer.quiet import quiet_imports

if not find_spec("tf_agents"):
    raise UserError(
        "agents need TF-Agents, which is not installed; run make setup in a checkout, or "
        "pip install --no-deps -r requirements/default.txt"
    )


@contextlib.contextmanager
def _without_gym() -> Iterator[None]:
    """Lets TF-Agents import without `gym`, the unmaintained predecessor of Gymnasium.

    One module of TF-Agents imports `gym`, for environments in other processes, and uses it
    only there. An empty module takes its place meanwhile; a later `import gym` is unaffected.
    """
    if "gym" in sys.modules:
        yield
        return
    sys.modules["gym"] = types.ModuleType("gym")
    try:
        yield
    finally:
        del sys.modules["gym"]


with quiet_imports(), _without_gym():
    from tf_agents.agents.categorical_dqn.categorical_dqn_agent import CategoricalDqnAgent
    from tf_agents.agents.dqn.dqn_agent import DdqnAgent, DqnAgent
    from tf_agents.agents.tf_agent import TFAgent
    from tf_agents.networks.sequential import Sequential
    from tf_agents.policies.policy_saver import PolicySaver
    from tf_agents.specs import BoundedTensorSpec
    from tf_agents.trajectories import PolicyStep, TimeStep, Transition, time_step_spec

# AutoGraph compiles TF-Agents' source again, and Python then finds fault with `is ()`.
warnings.filterwarnings("ignore", category=SyntaxWarning, message='"is')
# An exported policy returns a distribution's type only to those who ask for distributions.
warnings.filterwarnings("ignore", category=UserWarning, message="Encoding a StructuredValue")

__all__ = [
    "BoundedTensorSpec",
    "CategoricalDqnAgent",
    "DdqnAgent",
    "DqnAgent",
    "PolicySaver",
    "PolicyStep",
    "Sequential",
    "TFAgent",
    "TimeStep",
    "Transition",
    "time_step_spec",
]
