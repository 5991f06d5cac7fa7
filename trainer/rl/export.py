"""Export of an agent's policy as a SavedModel that TF-Agents loads without this package."""

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine import seed_folders
from trainer.engine.distribution_config import DistributionConfig
from trainer.errors import UserError
from trainer.rl import experiments


def export(experiment: ReinforcementLearning, path: str, output: str) -> int:
    """Writes the greedy policy of a run's selected checkpoint to `output`.

    It accepts time steps of any batch size; its specs are in `policy_specs.pbtxt`.

    Returns:
      The environment steps that the weights were trained for.

    Raises:
      UserError: if there is no checkpoint, there are several seeds, or `output` is not empty.
    """
    seed_folders.require_one(experiment, path)
    if tf.io.gfile.exists(output) and (
        not tf.io.gfile.isdir(output) or tf.io.gfile.listdir(output)
    ):
        raise UserError(f"--output must be a new or empty directory. Received: {output!r}")
    (trained,) = experiments.load_each(experiment, path, DistributionConfig(strategy="cpu"))
    # TF-Agents takes seconds to load, and only an export needs it.
    from trainer.compat.tf_agents import PolicySaver

    PolicySaver(trained.agent.policy(), batch_size=None).save(output)
    return trained.step
