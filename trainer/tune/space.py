"""The elements of a search file: an objective, dimensions and an oracle.

def get_search() -> Search:
    return Search(
        objective=Objective("eval/accuracy", "max"),
        space=(
            LogUniform("optimizer.learning_rate", 1e-4, 1e-1),
            Choice("optimizer.kind", ("adam", "sgd")),
            Uniform("optimizer.momentum", 0.0, 0.99, when=When("optimizer.kind", ("sgd",))),
        ),
    )
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from trainer.errors import UserError, unknown_name
from trainer.metrics.table import more_is_better

# A value of a dimension.
Value = bool | int | float | str | tuple[int, ...] | tuple[str, ...]


def _is_integer(value: object) -> bool:
    return type(value) is int


@dataclasses.dataclass(frozen=True)
class When:
    """A condition: the dimension `path` has one of `values`."""

    path: str
    values: tuple[Value, ...]


@dataclasses.dataclass(frozen=True)
class Uniform:
    """A float between `low` and `high`, inclusive."""

    path: str
    low: float
    high: float
    when: When | None = None

    def __post_init__(self) -> None:
        _check_range(self.path, self.low, self.high)

    @property
    def values_to_check(self) -> tuple[Value, ...]:
        """Values that represent the dimension in a check."""
        # Floats, so that a field of integers rejects them.
        return (float(self.low), float(self.high))


@dataclasses.dataclass(frozen=True)
class LogUniform(Uniform):
    """A float between `low` > 0 and `high`, uniform on a logarithmic scale."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_logarithm(self.path, self.low)


@dataclasses.dataclass(frozen=True)
class Integers:
    """An integer from `low` to `high` in steps of `step`; `log` uses a logarithmic scale."""

    path: str
    low: int
    high: int
    step: int = 1
    log: bool = False
    when: When | None = None

    def __post_init__(self) -> None:
        if not all(type(value) is int for value in (self.low, self.high, self.step)):
            raise UserError(f"{self.path}: low, high and step must be integers. Received: {self}")
        _check_range(self.path, self.low, self.high)
        if self.step < 1 or (self.log and self.step > 1):
            raise UserError(
                f"{self.path}: step must be >= 1, and 1 with log. Received: {self.step}"
            )
        if self.log:
            _check_logarithm(self.path, self.low)

    @property
    def values_to_check(self) -> tuple[Value, ...]:
        """Values that represent the dimension in a check."""
        return (self.low, self.high)


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of `values`, unordered unless they are numbers."""

    path: str
    values: tuple[Value, ...]
    when: When | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.values, tuple) or not self.values:
            raise UserError(
                f"{self.path}: values must be a non-empty tuple. Received: {self.values!r}"
            )
        if len(set(map(to_text, self.values))) < len(self.values):
            raise UserError(f"{self.path}: values must be distinct. Received: {self.values!r}")

    @property
    def values_to_check(self) -> tuple[Value, ...]:
        """Values that represent the dimension in a check."""
        return self.values


Dimension = Uniform | LogUniform | Integers | Choice


@dataclasses.dataclass(frozen=True)
class Objective:
    """The metric to optimize, as `split/name`, and `max` or `min`.

    The value is taken from result.json, or from the last report if it is not there. The
    direction can be omitted for a metric such as eval/loss or eval/accuracy, for which it is
    known.
    """

    name: str
    direction: str = ""

    def __post_init__(self) -> None:
        if not self.direction:
            more = more_is_better(self.name)
            if more is None:
                raise UserError(
                    f"Objective({self.name!r}) needs a direction, for example "
                    f"Objective({self.name!r}, 'max')"
                )
            object.__setattr__(self, "direction", "max" if more else "min")
        if self.direction not in ("max", "min"):
            raise unknown_name("direction of an objective", self.direction, ("max", "min"))

    def is_better(self, one: float, other: float) -> bool:
        """Returns True if one value is better than another."""
        return one > other if self.direction == "max" else one < other

    def best(self, values: Sequence[float]) -> float:
        """Returns the best of some values."""
        return max(values) if self.direction == "max" else min(values)


@dataclasses.dataclass(frozen=True)
class Random:
    """Random search."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """Every combination; a float range contributes its low end and ten values."""


@dataclasses.dataclass(frozen=True)
class Bayesian:
    """Bayesian optimization with a Gaussian process (KerasTuner's upper confidence bound).

    Attributes:
      initial: number of random trials at the start; 0: three per dimension.
      exploration: weight of the standard deviation in the upper confidence bound.
    """

    initial: int = 0
    exploration: float = 2.6

    def __post_init__(self) -> None:
        if not (_is_integer(self.initial) and self.initial >= 0 and self.exploration >= 0):
            raise UserError(
                f"Bayesian needs an integer initial >= 0 and exploration >= 0. Received: {self}"
            )


@dataclasses.dataclass(frozen=True)
class Hyperband:
    """Many short trials, the best of which resume from their checkpoints (Li et al., 2018).

    Attributes:
      shortest: length of the shortest trial, in train.steps if the experiment sets them, else
        in train.epochs; the longest trial has the length of the experiment.
      factor: one in `factor` trials is resumed, for `factor` times its length.
    """

    shortest: float
    factor: int = 3

    def __post_init__(self) -> None:
        if not (self.shortest > 0 and _is_integer(self.factor) and self.factor >= 2):
            raise UserError(
                f"Hyperband needs shortest > 0 and an integer factor >= 2. Received: {self}"
            )


Oracle = Random | Grid | Bayesian | Hyperband


@dataclasses.dataclass(frozen=True)
class Search:
    """A search.

    Attributes:
      objective: the metric to optimize.
      space: the dimensions; a dimension comes after those that its condition names.
      oracle: the algorithm that proposes trials.
      seed: of the oracle.
      executions: training runs per trial, with seeds `seed`, `seed + 1`, …; the score is their
        mean.
      median_stopping: number of finished trials after which trials are stopped early if their
        best value is worse than the median of the running means of the others; 0 disables it.
    """

    objective: Objective
    space: tuple[Dimension, ...]
    oracle: Oracle = Bayesian()
    seed: int = 0
    executions: int = 1
    median_stopping: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.objective, Objective):
            raise UserError(
                "objective must be an Objective, for example Objective('eval/loss', 'min'). "
                f"Received: {self.objective!r}"
            )
        if not isinstance(self.oracle, get_args(Oracle)):
            raise UserError(
                "oracle must be Random(), Grid(), Bayesian() or Hyperband(…). "
                f"Received: {self.oracle!r}"
            )
        is_tuple = isinstance(self.space, tuple) and bool(self.space)
        if not is_tuple or not all(isinstance(one, get_args(Dimension)) for one in self.space):
            raise UserError(f"space must be a tuple of dimensions. Received: {self.space!r}")
        numbers = (self.executions, self.median_stopping, self.seed)
        # KerasTuner gets seed + 1, which must fit into 32 bits.
        if not all(map(_is_integer, numbers)) or not (
            self.executions >= 1 and self.median_stopping >= 0 and 0 <= self.seed < 2**32 - 1
        ):
            raise UserError(
                "executions >= 1, median_stopping >= 0 and 0 <= seed < 2**32 - 1 must be "
                f"integers. Received: {', '.join(map(repr, numbers))}"
            )
        if self.median_stopping and (self.executions > 1 or isinstance(self.oracle, Hyperband)):
            raise UserError(
                f"median_stopping={self.median_stopping} requires executions=1 and an oracle "
                "other than Hyperband, which stops trials itself"
            )
        _check_conditions(self.space)

    def to_json(self) -> dict[str, Any]:
        """Returns all settings, to compare with another search."""
        named = {"oracle_kind": type(self.oracle).__name__}
        kinds = {"dimensions": [type(dimension).__name__ for dimension in self.space]}
        return {**dataclasses.asdict(self), **named, **kinds}


def search_from_json(content: Mapping[str, Any]) -> Search:
    """Returns the search whose `to_json` was stored."""
    dimensions = {each.__name__: each for each in get_args(Dimension)}
    oracles = {each.__name__: each for each in get_args(Oracle)}
    space = tuple(
        dimensions[kind](**{name: _from_json(name, value) for name, value in each.items()})
        for kind, each in zip(content["dimensions"], content["space"], strict=True)
    )
    return Search(
        Objective(**content["objective"]),
        space,
        oracles[content["oracle_kind"]](**content["oracle"]),
        **{name: content[name] for name in ("seed", "executions", "median_stopping")},
    )


def _from_json(name: str, value: Any) -> Any:
    """An attribute of a dimension, with tuples where JSON has lists."""
    if name == "when" and value is not None:
        return When(value["path"], tuple(_from_json("", each) for each in value["values"]))
    return tuple(_from_json("", each) for each in value) if isinstance(value, list) else value


def contains(dimension: Dimension, value: object) -> bool:
    """Returns True if a dimension can have a value."""
    if isinstance(dimension, Choice):
        return to_text(value) in map(to_text, dimension.values)  # type: ignore[arg-type]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(dimension, Integers) and (value - dimension.low) % dimension.step:
        return False
    return dimension.low <= value <= dimension.high


def to_text(value: Value) -> str:
    """Returns a value as an override on the command line takes it; exact for floats."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return repr(value) if isinstance(value, float) else str(value)


def describe(values: Mapping[str, Value]) -> str:
    """Returns the values of a trial for display."""
    return "  ".join(
        f"{path} {value:.4g}" if isinstance(value, float) else f"{path} {to_text(value)}"
        for path, value in values.items()
    )


def _check_range(path: str, low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError(f"{path}: low must be < high. Received: {low} and {high}")


def _check_logarithm(path: str, low: float) -> None:
    if low <= 0:
        raise UserError(f"{path}: a logarithmic scale needs low > 0. Received: {low}")


def _check_conditions(space: Sequence[Dimension]) -> None:
    earlier: dict[str, Dimension] = {}
    for dimension in space:
        if dimension.path in earlier:
            raise UserError(f"{dimension.path} must not occur twice in the space")
        when = dimension.when
        if when is not None:
            parent = earlier.get(when.path)
            if not isinstance(parent, Choice):
                raise UserError(
                    f"{dimension.path}: when must name a Choice before it in the space. "
                    f"Received: {when.path!r}"
                )
            known = list(map(to_text, parent.values))
            for value in when.values:
                if to_text(value) not in known:
                    raise unknown_name(f"value of {when.path}", to_text(value), known)
        earlier[dimension.path] = dimension
