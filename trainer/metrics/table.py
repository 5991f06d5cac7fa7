"""The table of metrics: which there are, and whether more of each is better."""

from collections.abc import Iterable

from trainer.config import user_code
from trainer.config.loading import Experiment
from trainer.config.supervised import Supervised
from trainer.errors import UserError, unknown_name
from trainer.metrics import agents, classification
from trainer.metrics.metric import Metric

# Prefix of the metrics of the network in training where its moving average is evaluated.
RAW = "raw_"
TABLE = {metric.name: metric for metric in classification.METRICS}


def find(name: str) -> Metric:
    """The metric of a name, or a user's own of `module:attribute`.

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
    if name not in TABLE:
        raise unknown_name("metric", name, TABLE)
    return TABLE[name]


def find_all(names: Iterable[str]) -> tuple[Metric, ...]:
    """The loss and the named metrics, in this order.

    Raises:
      UserError: if one is unknown, or named twice.
    """
    found = [classification.LOSS, *(find(name) for name in names if name != "loss")]
    taken: set[str] = set()
    for metric in found:
        if metric.name in taken:
            raise UserError(f"evaluate.metrics has two metrics of the name {metric.name!r}")
        taken.add(metric.name)
    return tuple(found)


def reported(experiment: Experiment) -> tuple[str, ...]:
    """The metrics that a run reports, as `split/name`; the splits are `train` and `eval`."""
    if isinstance(experiment, Supervised):
        metrics = ["loss", *map(_reported_name, experiment.evaluate.metrics)]
        trained = [*metrics, *classification.TRAINING]
        raw = [RAW + name for name in metrics if experiment.train.ema_decay and _is_number(name)]
        evaluated = [*metrics, *raw]
    else:
        evaluated, trained = list(agents.EVALUATION), list(agents.TRAINING)
    return (*(f"eval/{name}" for name in evaluated), *(f"train/{name}" for name in trained))


def more_is_better(name: str) -> bool | None:
    """Whether more of a reported metric, `split/name`, is better; None if that is not known."""
    known: dict[str, bool | None] = {
        **{metric.name: metric.more_is_better for metric in TABLE.values()},
        **classification.TRAINING,
        **agents.TRAINING,
        **agents.EVALUATION,
    }
    return known.get(name.partition("/")[2].removeprefix(RAW))


def _is_number(name: str) -> bool:
    """Whether a metric is a number; those of users are assumed to be."""
    return name not in TABLE or TABLE[name].more_is_better is not None


def _reported_name(name: str) -> str:
    """The name under which a metric of `evaluate.metrics` is reported."""
    return name.rpartition(":")[2]
