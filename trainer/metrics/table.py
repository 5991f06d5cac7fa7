"""The table of metrics: which there are, and whether more of each is better."""

from collections.abc import Mapping, Sequence

from trainer.config import user_code
from trainer.config.loading import Experiment
from trainer.config.supervised import Supervised
from trainer.errors import UserError, unknown_name
from trainer.metrics import agents, classification, multi_label, regression
from trainer.metrics.metric import Metric

# Prefix of the metrics of the network in training where its moving average is evaluated.
RAW = "raw_"
# The rows of each kind of target.
TABLES: Mapping[str, Mapping[str, Metric]] = {
    target: {metric.name: metric for metric in rows}
    for target, rows in (
        ("classification", classification.METRICS),
        ("multi_label", multi_label.METRICS),
        ("regression", regression.METRICS),
    )
}
_MORE_IS_BETTER = {
    name: metric.more_is_better for rows in TABLES.values() for name, metric in rows.items()
}
_DEFAULT = {"regression": ("mae", "rmse", "r2")}


def find(name: str, target: str = "classification") -> Metric:
    """The metric of a name for a kind of target, or a user's own of `module:attribute`.

    Raises:
      UserError: if there is no such metric.
    """
    if ":" in name:
        metric = user_code.load(name, "evaluate.metrics")
        if not isinstance(metric, Metric):
            raise UserError(
                f"evaluate.metrics: {name!r} must be a trainer.metrics.metric.Metric. "
                f"Received: {type(metric).__name__}"
            )
        if metric.name != _reported_name(name):
            raise UserError(
                f"evaluate.metrics: the metric {name!r} must have the name "
                f"{_reported_name(name)!r}. Received: {metric.name!r}"
            )
        return metric
    if name not in TABLES[target]:
        raise unknown_name(f"metric of a {target} target", name, TABLES[target])
    return TABLES[target][name]


def names_of(names: Sequence[str], target: str) -> Sequence[str]:
    """`evaluate.metrics`, or those that a kind of target has by default."""
    return names or _DEFAULT.get(target, ("accuracy",))


def find_all(names: Sequence[str], target: str = "classification") -> tuple[Metric, ...]:
    """The loss and the named metrics, in this order.

    Args:
      names: as in `evaluate.metrics`; empty: those that the target has by default.
      target: classification, multi_label or regression.

    Raises:
      UserError: if one is unknown, or named twice.
    """
    others = [name for name in names_of(names, target) if name != "loss"]
    found = [find(name, target) for name in ("loss", *others)]
    taken: set[str] = set()
    for metric in found:
        if metric.name in taken:
            raise UserError(f"evaluate.metrics has two metrics of the name {metric.name!r}")
        taken.add(metric.name)
    return tuple(found)


def reported(experiment: Experiment) -> tuple[str, ...]:
    """The metrics that a run reports, as `split/name`; the splits are `train` and `eval`."""
    if isinstance(experiment, Supervised):
        # The data decide between the other two, which have the same metrics by default.
        target = getattr(experiment.data, "target", "auto")
        names = names_of(experiment.evaluate.metrics, target)
        metrics = ["loss", *map(_reported_name, names)]
        trained = [*metrics, *classification.TRAINING]
        raw = [RAW + name for name in metrics if experiment.train.ema_decay and _is_number(name)]
        evaluated = [*metrics, *raw]
    else:
        evaluated, trained = list(agents.EVALUATION), list(agents.TRAINING)
    return (*(f"eval/{name}" for name in evaluated), *(f"train/{name}" for name in trained))


def more_is_better(name: str) -> bool | None:
    """Whether more of a reported metric, `split/name`, is better; None if that is not known."""
    known: dict[str, bool | None] = {
        **_MORE_IS_BETTER,
        **classification.TRAINING,
        **agents.TRAINING,
        **agents.EVALUATION,
        **agents.LAST,
    }
    return known.get(name.partition("/")[2].removeprefix(RAW))


def _is_number(name: str) -> bool:
    """Whether a metric is a number; those of users are assumed to be."""
    return _MORE_IS_BETTER.get(name, True) is not None


def _reported_name(name: str) -> str:
    """The name under which a metric of `evaluate.metrics` is reported."""
    return name.rpartition(":")[2]
