"""The table of metrics: which there are, and whether more of one is better."""

from collections.abc import Iterable

from trainer.config import user_code
from trainer.errors import UserError, unknown_name
from trainer.metrics import classification
from trainer.metrics.metric import Metric

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
