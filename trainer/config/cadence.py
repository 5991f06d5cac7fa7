"""The fields of the `train` section that all tasks share."""

import dataclasses

from trainer.config.fields import ConfigBase, field


@dataclasses.dataclass(frozen=True)
class Cadence(ConfigBase):
    """Reports, checkpoints and stopping. A step is an update, or in RL an environment step."""

    report_every: int = field(0, "Steps between reports; 0: 20 reports per run.", minimum=0)
    checkpoint_every: int = field(0, "Steps between checkpoints; 0: at each evaluation.", minimum=0)
    checkpoints_to_keep: int = field(
        2, "Number of recent checkpoints to keep, besides the best.", minimum=2
    )
    early_stopping: int = field(
        0, "Evaluations without improvement after which the run stops; 0 disables it.", minimum=0
    )
    nan_rollbacks: int = field(
        2,
        "Maximum number of rollbacks after a non-finite loss; each restores the last checkpoint "
        "and halves the learning rate.",
        minimum=0,
    )
