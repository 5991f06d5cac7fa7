"""The metrics that a search can optimize, and whether more of each is better."""

from trainer.config.loading import Experiment
from trainer.config.supervised import Supervised

# Reported during training in addition to the metrics of the evaluation.
_SUPERVISED_TRAINING = ("learning_rate", "gradient_norm", "examples_per_second")
_RL = (
    "eval/discounted_return_mean",
    "eval/episodes",
    "eval/length_mean",
    "eval/q_first_mean",
    "eval/return_iqm",
    "eval/return_mean",
    "eval/return_min",
    "train/episodes",
    "train/epsilon",
    "train/length_mean",
    "train/loss",
    "train/return_mean",
)
_MORE_IS_BETTER = {
    "loss": False,
    "accuracy": True,
    "return_mean": True,
    "return_iqm": True,
    "return_min": True,
    "discounted_return_mean": True,
}


def known_objectives(experiment: Experiment) -> tuple[str, ...]:
    """Returns the metrics that a run of the experiment reports, as `split/name`."""
    if not isinstance(experiment, Supervised):
        return _RL
    metrics = ("loss", *(name.rpartition(":")[2] for name in experiment.evaluate.metrics))
    return (
        *(f"{split}/{name}" for split in ("eval", "train") for name in metrics),
        *(f"train/{name}" for name in _SUPERVISED_TRAINING),
    )


def more_is_better(objective: str) -> bool | None:
    """Returns the direction of an objective `split/name`; None if it is not known."""
    return _MORE_IS_BETTER.get(objective.partition("/")[2])
