"""Export of an agent: its greedy policy."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.import_silence import quiet_libraries
from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine import seed_folders
from trainer.engine.distribution_config import DistributionConfig
from trainer.errors import unknown_name
from trainer.export import description, model_card, output
from trainer.export.checking import Call, Checker
from trainer.rl import experiments, seeds
from trainer.rl.agents.base import Agent
from trainer.rl.envs import registry
from trainer.rl.loading import Trained
from trainer.rl.specs import Box

# TF-Agents' SavedModel, and one that takes observations only.
FORMATS = ("policy", "saved_model")
# Environments and steps that an export is compared on.
_ENVIRONMENTS = 16
_STEPS = 8


class GreedyPolicy(tf.Module):
    """From observations to greedy actions, without a state between two steps."""

    def __init__(self, agent: Agent):
        """Takes an agent with its weights."""
        super().__init__()
        # Only what is an attribute is saved.
        self._weights = agent.variables
        self._agent_actions = functools.partial(greedy_actions, agent)

    def signature(self, shape: Sequence[int], dtype: tf.DType) -> Any:
        """A function of `observation` `[B, …]` that returns `action` `[B]` or `[B, A]`."""
        spec = tf.TensorSpec([None, *shape], dtype, "observation")
        return tf.function(
            lambda observation: {"action": self._agent_actions(observation)},
            input_signature=[spec],
            autograph=False,
        ).get_concrete_function()


def greedy_actions(agent: Agent, observation: tf.Tensor) -> tf.Tensor:
    """The greedy actions `[B]` or `[B, A]` of observations `[B, …]`."""
    carry = agent.initial_carry(tf.shape(observation)[0])
    action, _, _ = agent.act(observation, carry, tf.constant([0, 0]), explore=False)
    return action


def export(
    experiment: ReinforcementLearning,
    path: str,
    folder: str,
    kind: str,
    intended_use: str,
    checker: Checker,
) -> int:
    """Writes the greedy policy of a run's selected checkpoint, once it acts as the agent does.

    Args:
      experiment: the configuration.
      path: the work directory.
      folder: where to; new or empty.
      kind: one of `FORMATS`.
      intended_use: a text for the model card.
      checker: of the format.

    Returns:
      The environment steps that the weights were trained for.

    Raises:
      UserError: if there is no checkpoint, there are several seeds, `folder` is not empty, or the
        export acts differently.
    """
    output.check_new(folder)
    trained = _load(experiment, path)
    with output.new_folder(folder) as local:
        if kind == "policy":
            _save_policy(trained, local)
        else:
            _save_plain(trained, local)
        _compare(trained, kind, local, checker)
        description.write(local, _description(trained, kind))
        model_card.write(local, path, trained.experiment, kind, trained.step, intended_use)
    return trained.step


def check(experiment: ReinforcementLearning, path: str, folder: str) -> int:
    """Checks an export: its files, and that it acts as the agent does.

    Returns:
      The environment steps that the weights were trained for.

    Raises:
      UserError: if it is damaged, or acts differently.
    """
    with output.existing_folder(folder) as local:
        described = description.read(local)
        description.check_files(local, described)
        kind = str(described["format"])
        if kind not in FORMATS:
            raise unknown_name(f"format in {description.NAME}", kind, FORMATS)
        with Checker(kind) as checker:
            trained = _load(experiment, path)
            description.check_equal(described, _description(trained, kind))
            _compare(trained, kind, local, checker)
    return trained.step


def _load(experiment: ReinforcementLearning, path: str) -> Trained:
    seed_folders.require_one(experiment, path)
    (trained,) = experiments.load_each(experiment, path, DistributionConfig(strategy="cpu"))
    return trained


def _save_policy(trained: Trained, folder: str) -> None:
    # TF-Agents takes seconds to load, and only this format needs it.
    from trainer.compat.tf_agents import PolicySaver

    PolicySaver(trained.agent.policy(), batch_size=None).save(folder)


def _save_plain(trained: Trained, folder: str) -> None:
    spec = registry.make(trained.experiment.environment).spec
    policy = GreedyPolicy(trained.agent)
    function = policy.signature(spec.observation_shape, spec.observation_dtype)
    with quiet_libraries():
        tf.saved_model.save(policy, folder, {"serving_default": function})


def _compare(trained: Trained, kind: str, folder: str, checker: Checker) -> None:
    """Compares the actions of an export with those of the agent on real observations."""
    observations = _observations(trained)
    expected = greedy_actions(trained.agent, tf.constant(observations)).numpy()
    inputs: Mapping[str, NDArray[Any]] = {"observation": observations}
    signature, name = "serving_default", "action"
    if kind == "policy":
        count = len(observations)
        signature = "action"
        inputs = {
            "0/discount": np.ones(count, np.float32),
            "0/observation": observations,
            "0/reward": np.zeros(count, np.float32),
            # The middle of an episode.
            "0/step_type": np.ones(count, np.int32),
        }
    action = registry.make(trained.experiment.environment).spec.action
    scale: NDArray[np.float64] | float = 1.0
    if isinstance(action, Box):
        scale = np.subtract(action.high, action.low, dtype=np.float64) / 2
    checker.check(folder, [Call(signature, inputs, name, expected, scale)])


def _description(trained: Trained, kind: str) -> dict[str, Any]:
    return {"format": kind, "file": ".", "step": trained.step}


def _observations(trained: Trained) -> NDArray[Any]:
    """Observations `[N, …]` of episodes that the agent plays."""
    experiment, agent = trained.experiment, trained.agent
    environment = registry.make(experiment.environment)
    stream = seeds.stream(experiment.seed, "export")
    carry = environment.initial(seeds.at(stream, 0), _ENVIRONMENTS)
    observed = []
    for step in range(1, _STEPS + 1):
        observed.append(environment.observe(carry).numpy())
        seed = seeds.at(stream, step)
        action, _, _ = agent.act(
            tf.constant(observed[-1]), agent.initial_carry(_ENVIRONMENTS), seed, explore=True
        )
        carry, _ = environment.step(carry, action, seed)
    observations: NDArray[Any] = np.concatenate(observed)
    return observations
