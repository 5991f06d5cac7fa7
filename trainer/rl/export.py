"""An agent's policy for others: a SavedModel that TF-Agents loads without this package."""

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine.distribution_config import DistributionConfig
from trainer.errors import UserError
from trainer.rl import multi_seed as experiments


def export(experiment: ReinforcementLearning, path: str, output: str) -> int:
    """Writes the greedy policy of a run's chosen checkpoint to `output`.

    It takes time steps of any batch size, and carries its specifications in
    `policy_specs.pbtxt`.

    Returns:
      The environment step behind the weights.

    Raises:
      UserError: if there is no checkpoint, several seeds, or something in `output`.
    """
    if experiment.seeds > 1:
        directories = ", ".join(directory for _, directory in experiments.runs(experiment, path))
        raise UserError(
            f"--workdir holds the runs of {experiment.seeds} seeds; take one of {directories}. "
            f"Received: {path!r}"
        )
    if tf.io.gfile.exists(output) and (
        not tf.io.gfile.isdir(output) or tf.io.gfile.listdir(output)
    ):
        raise UserError(f"--output must be a new or an empty directory. Received: {output!r}")
    (trained,) = experiments.load_each(experiment, path, DistributionConfig(strategy="cpu"))
    # TF-Agents takes seconds to load, and only an export needs it.
    from trainer.compat.tf_agents import PolicySaver

    PolicySaver(trained.agent.policy(), batch_size=None).save(output)
    return trained.step
