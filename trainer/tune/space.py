"""What a search file is made of: an objective, dimensions, an oracle.

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

# What a dimension may hold; a tuple is the value of a field that is one.
Value = bool | int | float | str | tuple[int, ...]


def _is_whole(value: object) -> bool:
    return type(value) is int


@dataclasses.dataclass(frozen=True)
class When:
    """A condition: the dimension `path` has taken one of `values`."""

    path: str
    values: tuple[Value, ...]


@dataclasses.dataclass(frozen=True)
class Uniform:
    """A number between `low` and `high`, both included."""

    path: str
    low: float
    high: float
    when: When | None = None

    def __post_init__(self) -> None:
        _check_range(self.path, self.low, self.high)

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that stand for all of them in a check."""
        # Those between are no whole numbers, so a field of whole numbers must refuse these.
        return (float(self.low), float(self.high))


@dataclasses.dataclass(frozen=True)
class LogUniform(Uniform):
    """A number whose logarithm is uniform between those of `low` > 0 and `high`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_logarithm(self.path, self.low)


@dataclasses.dataclass(frozen=True)
class Integers:
    """A whole number from `low` to `high` in steps of `step`; `log` spreads its logarithm."""

    path: str
    low: int
    high: int
    step: int = 1
    log: bool = False
    when: When | None = None

    def __post_init__(self) -> None:
        if not all(type(value) is int for value in (self.low, self.high, self.step)):
            raise UserError(f"{self.path}: low, high and step are whole numbers. Received: {self}")
        _check_range(self.path, self.low, self.high)
        if self.step < 1 or (self.log and self.step > 1):
            raise UserError(f"{self.path}: step >= 1, and 1 with log. Received: {self.step}")
        if self.log:
            _check_logarithm(self.path, self.low)

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that stand for all of them in a check."""
        return (self.low, self.high)


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of `values`, which have no order unless they are numbers."""

    path: str
    values: tuple[Value, ...]
    when: When | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.values, tuple) or not self.values:
            raise UserError(f"{self.path}: values is a tuple of some. Received: {self.values!r}")
        if len(set(map(text, self.values))) < len(self.values):
            raise UserError(f"{self.path}: the values must differ. Received: {self.values!r}")

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that stand for all of them in a check: all of them."""
        return self.values


Dimension = Uniform | LogUniform | Integers | Choice


@dataclasses.dataclass(frozen=True)
class Objective:
    """The metric that says which trial is better, as `split/name`, and `max` or `min`.

    It is that of result.json where that has it, else the last in metrics.jsonl.
    """

    name: str
    direction: str

    def __post_init__(self) -> None:
        if self.direction not in ("max", "min"):
            raise unknown_name("direction of an objective", self.direction, ("max", "min"))

    def better(self, one: float, other: float) -> bool:
        """Whether one value is better than another."""
        return one > other if self.direction == "max" else one < other

    def best(self, values: Sequence[float]) -> float:
        """The best of some values."""
        return max(values) if self.direction == "max" else min(values)


@dataclasses.dataclass(frozen=True)
class Random:
    """Each trial is drawn anew."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """Every combination; of a range without steps, its low end and ten values in it."""


@dataclasses.dataclass(frozen=True)
class Bayesian:
    """A Gaussian process over finished trials proposes the next (KerasTuner's UCB).

    Attributes:
      initial: trials drawn at random before it does; 0: three for each dimension.
      exploration: how many standard deviations of doubt are worth a look.
    """

    initial: int = 0
    exploration: float = 2.6

    def __post_init__(self) -> None:
        if not (_is_whole(self.initial) and self.initial >= 0 and self.exploration >= 0):
            raise UserError(
                f"Bayesian needs a whole initial >= 0 and exploration >= 0. Received: {self}"
            )


@dataclasses.dataclass(frozen=True)
class Hyperband:
    """Many short trials; the best of them go on from their checkpoints (Li et al., 2018).

    Attributes:
      shortest: length of the shortest trial, in train.steps where the experiment sets them,
        else in train.epochs; the longest is the experiment's own.
      factor: of so many trials one goes on, for so many times its length.
    """

    shortest: float
    factor: int = 3

    def __post_init__(self) -> None:
        if not (self.shortest > 0 and _is_whole(self.factor) and self.factor >= 2):
            raise UserError(
                f"Hyperband needs shortest > 0 and a whole factor >= 2. Received: {self}"
            )


Oracle = Random | Grid | Bayesian | Hyperband


@dataclasses.dataclass(frozen=True)
class Search:
    """A whole search.

    Attributes:
      objective: what is better.
      space: the dimensions; those of a condition come before those that depend on it.
      oracle: who chooses.
      seed: of the oracle.
      executions: trainings of a trial, with seeds `seed`, `seed + 1`, …; their mean counts.
      median_stopping: finished trials before hopeless ones are stopped: those whose best value
        so far is worse than the median of the others' running means; 0 is off.
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
                "objective is as in Objective('eval/loss', 'min'). "
                f"Received: objective={self.objective!r}"
            )
        if not isinstance(self.oracle, get_args(Oracle)):
            raise UserError(
                "oracle is Random(), Grid(), Bayesian() or Hyperband(…). "
                f"Received: oracle={self.oracle!r}"
            )
        is_tuple = isinstance(self.space, tuple) and bool(self.space)
        if not is_tuple or not all(isinstance(one, get_args(Dimension)) for one in self.space):
            raise UserError(f"space is a tuple of dimensions. Received: {self.space!r}")
        numbers = (self.executions, self.median_stopping, self.seed)
        # The oracle's seed is one more, and has 32 bits.
        if not all(map(_is_whole, numbers)) or not (
            self.executions >= 1 and self.median_stopping >= 0 and 0 <= self.seed < 2**32 - 1
        ):
            raise UserError(
                "executions >= 1, median_stopping >= 0 and 0 <= seed < 2**32 - 1 are whole "
                f"numbers. Received: {', '.join(map(repr, numbers))}"
            )
        if self.median_stopping and (self.executions > 1 or isinstance(self.oracle, Hyperband)):
            raise UserError(
                "median_stopping goes with executions=1 and any oracle but Hyperband, which "
                f"stops trials itself. Received: median_stopping={self.median_stopping}"
            )
        _check_conditions(self.space)

    def to_json(self) -> dict[str, Any]:
        """Everything that makes it this search, for comparison with another."""
        named = {"oracle_kind": type(self.oracle).__name__}
        kinds = {"dimensions": [type(dimension).__name__ for dimension in self.space]}
        return {**dataclasses.asdict(self), **named, **kinds}


def text(value: Value) -> str:
    """A value as `--config.path=…` takes it; a float comes back exactly."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return repr(value) if isinstance(value, float) else str(value)


def described(values: Mapping[str, Value]) -> str:
    """A trial's values for a person to read."""
    return "  ".join(
        f"{path} {value:.4g}" if isinstance(value, float) else f"{path} {text(value)}"
        for path, value in values.items()
    )


def overrides(values: Mapping[str, Value]) -> list[str]:
    """The `--config.path=value` arguments of a trial's values."""
    return [f"--config.{path}={text(value)}" for path, value in values.items()]


def _check_range(path: str, low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError(f"{path}: low must be < high. Received: {low} and {high}")


def _check_logarithm(path: str, low: float) -> None:
    if low <= 0:
        raise UserError(f"{path}: a logarithm needs low > 0. Received: {low}")


def _check_conditions(space: Sequence[Dimension]) -> None:
    earlier: dict[str, Dimension] = {}
    for dimension in space:
        if dimension.path in earlier:
            raise UserError(f"a path may come once. Received: {dimension.path!r} twice")
        when = dimension.when
        if when is not None:
            parent = earlier.get(when.path)
            if not isinstance(parent, Choice):
                raise UserError(
                    f"{dimension.path}: when names a Choice that comes before it. "
                    f"Received: {when.path!r}"
                )
            known = list(map(text, parent.values))
            for value in when.values:
                if text(value) not in known:
                    raise unknown_name(f"value of {when.path}", text(value), known)
        earlier[dimension.path] = dimension
