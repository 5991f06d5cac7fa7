"""KerasTuner's oracles, with a state that can be saved as JSON and restored exactly.

docs/decisions/0008-tuning.md lists the behavior of KerasTuner that is corrected here.
"""

import dataclasses
import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from trainer.compat.keras_tuner import Trial as KerasTunerTrial
from trainer.compat.keras_tuner import keras_tuner
from trainer.tune import space
from trainer.tune.coordinator import NoTrial
from trainer.tune.space import Search, Value

# Prefix of the values with which Hyperband describes a trial.
_HYPERBAND = "tuner/"


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A trial to run.

    Attributes:
      id: four digits, starting at 0000.
      values: of the active dimensions by path, as written in the search file.
      fraction: of the full length of the experiment, in (0, 1].
      parent: the id of the trial whose checkpoints it resumes; "" starts from scratch.
    """

    id: str
    values: Mapping[str, Value]
    fraction: float
    parent: str


class _Bayesian(keras_tuner.oracles.BayesianOptimizationOracle):
    """Samples as a function of seed and trial, so that a restart changes nothing."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        self._random_state = np.random.RandomState([self.seed, int(trial_id)])
        # The matrices are small, so more threads are slower. Warnings about a poor fit to a
        # few points are not useful.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            response = super().populate_space(trial_id)
        if response["values"] is not None and self._duplicate(response["values"]):
            return self._random_populate_space()
        return response


class _Grid(keras_tuner.oracles.GridSearchOracle):
    """Saves its position in the grid, which KerasTuner's oracle does not."""

    def get_state(self) -> dict[str, Any]:
        order = []
        following = self.start_order[0] if self.start_order else None
        while following is not None:
            order.append(following)
            following = self._ordered_ids.next(following)
        return {**super().get_state(), "order": order, "populate_next": list(self._populate_next)}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        before = None
        for trial_id in state["order"]:
            self._ordered_ids.insert(trial_id, before)
            before = trial_id
        self._populate_next = list(state["populate_next"])


class Oracle:
    """Proposes trials; `state` is its complete state."""

    def __init__(self, search: Search, full_length: float):
        """Creates a new oracle; `full_length` of the experiment is for Hyperband."""
        self._search = search
        self._values_by_code = {
            dimension.path: {_encoded(dimension)(value): value for value in dimension.values}
            for dimension in search.space
            if isinstance(dimension, space.Choice)
        }
        self._oracle = _create(search, full_length)
        # The caller saves the state.
        self._oracle.save = self._oracle._save_trial = lambda *_: None
        self._oracle.verbose = 0

    def ask(self) -> Proposal | NoTrial:
        """Returns the next trial, or whether to wait for a running trial to end."""
        # One tuner name per trial: KerasTuner returns the same trial to the same name.
        trial = self._oracle.create_trial(f"trial-{len(self._oracle.trials)}")
        if trial.status != "RUNNING":
            return NoTrial.WAIT if trial.status == "IDLE" else NoTrial.DONE
        values: dict[str, Any] = dict(trial.hyperparameters.values)
        fraction = 1.0
        if isinstance(self._search.oracle, space.Hyperband):
            fraction = values[f"{_HYPERBAND}epochs"] / self._oracle.max_epochs
        return Proposal(
            id=trial.trial_id,
            values={
                path: self._values_by_code.get(path, {}).get(value, value)
                for path, value in values.items()
                if not path.startswith(_HYPERBAND)
            },
            fraction=fraction,
            parent=values.get(f"{_HYPERBAND}trial_id", ""),
        )

    def add_baseline(self, values: Mapping[str, Value]) -> Proposal:
        """Adds a trial of the full length that the oracle has not proposed.

        Args:
          values: of the dimensions that are fields of the experiment; they may lie outside the
            space, and then the oracle does not learn from the score.
        """
        trial_id = f"{len(self._oracle.trials):04d}"
        hyperparameters = self._oracle.hyperparameters.copy()
        encoded = _encode_all(self._search.space, values)
        hyperparameters.values = encoded or {}
        # Until it has a score, the oracle ignores it.
        trial = KerasTunerTrial(hyperparameters, trial_id, status="INVALID")
        self._oracle.trials[trial_id] = trial
        if encoded:
            self._oracle._record_values(trial)
        return Proposal(trial_id, values, fraction=1.0, parent="")

    @property
    def costs(self) -> list[float]:
        """The cost of each trial that will be proposed, in full trainings; [] if unlimited.

        A trial that resumes another one costs the difference. Failures reduce the number.
        """
        if isinstance(self._search.oracle, space.Grid):
            return [1.0] * _combinations(self._search.space, self._oracle.hyperparameters)
        if isinstance(self._search.oracle, space.Hyperband):
            return _hyperband_costs(self._oracle)
        return []

    def tell(self, trial_id: str, score: float | None) -> None:
        """Ends a trial; a score of None means that it failed.

        A failed trial gets the worst score if the oracle would otherwise propose the same
        values again (Bayesian) or wait for it forever (Hyperband).
        """
        trial = self._oracle.trials[trial_id]
        if trial_id not in self._oracle.start_order:
            if score is not None and trial.hyperparameters.values:
                trial.score, trial.best_step, trial.status = score, 0, "COMPLETED"
            return
        if score is None:
            score = self._penalty()
        trial.status = "FAILED" if score is None else "COMPLETED"
        if score is not None:
            self._oracle.update_trial(trial_id, {self._search.objective.name: score})
        self._oracle.end_trial(trial)

    def _penalty(self) -> float | None:
        worst = -math.inf if self._search.objective.direction == "max" else math.inf
        if isinstance(self._search.oracle, space.Hyperband):
            return worst
        scores = [trial.score for trial in self._oracle.trials.values() if trial.score is not None]
        if isinstance(self._search.oracle, space.Bayesian) and scores:
            return min(scores) if worst < 0 else max(scores)
        return None

    def state(self) -> dict[str, Any]:
        """Returns a JSON value from which `restore` continues exactly."""
        trials = [trial.get_state() for trial in self._oracle.trials.values()]
        return {"oracle": self._oracle.get_state(), "trials": trials}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores a state."""
        trials = map(KerasTunerTrial.from_state, state["trials"])
        self._oracle.trials = {trial.trial_id: trial for trial in trials}
        self._oracle.set_state(state["oracle"])


def _create(search: Search, full_length: float) -> Any:
    kind = search.oracle
    common = {
        "objective": keras_tuner.Objective(search.objective.name, search.objective.direction),
        "hyperparameters": _hyperparameters(search),
        # KerasTuner replaces a seed of 0 with a random one.
        "seed": search.seed + 1,
        # By default three consecutive failures end the search.
        "max_consecutive_failed_trials": sys.maxsize,
    }
    if isinstance(kind, space.Hyperband):
        # 0.3 / 0.1 is slightly less than 3.
        longest = int(full_length / kind.shortest + 1e-9)
        return keras_tuner.oracles.HyperbandOracle(max_epochs=longest, factor=kind.factor, **common)
    # The study limits the number of trials, so that it can be raised later.
    common["max_trials"] = None
    if isinstance(kind, space.Bayesian):
        return _Bayesian(num_initial_points=kind.initial or None, beta=kind.exploration, **common)
    if isinstance(kind, space.Grid):
        return _Grid(**common)
    return keras_tuner.oracles.RandomSearchOracle(**common)


def _combinations(
    dimensions: Sequence[space.Dimension], holder: Any, chosen: Mapping[str, str] | None = None
) -> int:
    """Returns the number of points of KerasTuner's grid."""
    if not dimensions:
        return 1
    first, *rest = dimensions
    chosen = chosen or {}
    when = first.when
    if when is not None and chosen.get(when.path) not in list(map(space.to_text, when.values)):
        return _combinations(rest, holder, chosen)
    if isinstance(first, space.Choice):
        values = map(space.to_text, first.values)
        return sum(_combinations(rest, holder, {**chosen, first.path: text}) for text in values)
    own = next(own for own in holder.space if own.name == first.path)
    return len({own.default, *own.values}) * _combinations(rest, holder, chosen)


def _hyperband_costs(oracle: Any) -> list[float]:
    costs = []
    for bracket in reversed(range(oracle._get_num_brackets())):
        before = 0
        for rung in range(oracle._get_num_rounds(bracket)):
            epochs = oracle._get_epochs(bracket, rung)
            costs += [(epochs - before) / oracle.max_epochs] * oracle._get_size(bracket, rung)
            before = epochs
    return costs


def _hyperparameters(search: Search) -> Any:
    holder = keras_tuner.HyperParameters()
    for dimension in search.space:
        common: dict[str, Any] = {"name": dimension.path}
        if dimension.when is not None:
            parent = next(other for other in search.space if other.path == dimension.when.path)
            common["parent_name"] = parent.path
            common["parent_values"] = list(map(_encoded(parent), dimension.when.values))
        if isinstance(dimension, space.Choice):
            holder.Choice(values=list(map(_encoded(dimension), dimension.values)), **common)
            continue
        logarithmic = isinstance(dimension, space.LogUniform) or (
            isinstance(dimension, space.Integers) and dimension.log
        )
        common |= {"min_value": dimension.low, "max_value": dimension.high}
        common["sampling"] = "log" if logarithmic else "linear"
        if isinstance(dimension, space.Integers):
            holder.Int(step=None if dimension.log else dimension.step, **common)
        else:
            holder.Float(**common)
    return holder


def _encode_all(
    dimensions: Sequence[space.Dimension], values: Mapping[str, Value]
) -> dict[str, Any] | None:
    """Returns values as KerasTuner has them; None if they are not a point of the space."""
    encoded: dict[str, Any] = {}
    for dimension in dimensions:
        when, value = dimension.when, values.get(dimension.path)
        if when is not None and not (
            when.path in encoded
            and space.to_text(values[when.path]) in map(space.to_text, when.values)
        ):
            continue
        if value is None or not space.contains(dimension, value):
            return None
        if isinstance(dimension, space.Choice):
            text = space.to_text(value)
            value = next(one for one in dimension.values if space.to_text(one) == text)
            value = _encoded(dimension)(value)
        encoded[dimension.path] = value
    return encoded


def _encoded(dimension: space.Dimension) -> Any:
    """Returns a function that encodes a choice: KerasTuner allows numbers of one type, or text."""
    assert isinstance(dimension, space.Choice)
    types = {type(value) for value in dimension.values}
    return (lambda value: value) if types in ({int}, {float}) else space.to_text
