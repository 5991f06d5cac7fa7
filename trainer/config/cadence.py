"""The part of the `train` section that every task shares."""

import dataclasses

from trainer.config.fields import ConfigBase, field


@dataclasses.dataclass(frozen=True)
class Cadence(ConfigBase):
    """What any training keeps and when; a step is an update, or an environment step."""

    report_every: int = field(0, "Steps between two reports; 0: 20 a run.", minimum=0)
    checkpoint_every: int = field(
        0, "Steps between two checkpoints; 0: at each evaluation.", minimum=0
    )
    checkpoints_to_keep: int = field(2, "Newest checkpoints kept, beside the best.", minimum=2)
    early_stopping: int = field(
        0, "Evaluations without a better one that end the run; 0 is off.", minimum=0
    )
    nan_rollbacks: int = field(
        2,
        "Times a run whose loss is not finite goes back to its last checkpoint with half the "
        "learning rate, before it is given up.",
        minimum=0,
    )
