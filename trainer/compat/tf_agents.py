"""The one door to TF-Agents: what this project uses of it, without its warnings."""

import warnings

# It says which Keras TF-Agents will load.
import trainer.compat.keras  # noqa: F401
from trainer.compat.import_silence import quiet_imports

with quiet_imports():
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
