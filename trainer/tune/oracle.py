"""KerasTuner's oracles, asked and told; what they know is one JSON value that restores them.

Where they end a search, forget or repeat themselves, docs/decisions/0008-tuning.md says what is
done instead.
"""

import dataclasses
import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from trainer.tune import space
from trainer.tune.kerastuner_door import Trial as KerasTunerTrial
from trainer.tune.kerastuner_door import keras_tuner
from trainer.tune.space import Search, Value

# Hyperband's messages to whoever runs its trials begin with this.
_HYPERBAND = "tuner/"


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A trial to run.

    Attributes:
      id: four digits, counted from 0000.
      values: by path, of the active dimensions, as the search file spells them.
      share: of the experiment's full length, in (0, 1].
      continues: the id of the trial whose checkpoints it goes on from; "" begins anew.
    """

    id: str
    values: Mapping[str, Value]
    share: float
    continues: str


class _Bayesian(keras_tuner.oracles.BayesianOptimizationOracle):
    """Draws as a function of seed and trial, so that a restart changes nothing."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        self._random_state = np.random.RandomState([self.seed, int(trial_id)])
        # Matrices of a few rows: more threads only wait for each other. A poor fit of the
        # kernel to a few points is no news to the user.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            response = super().populate_space(trial_id)
        if response["values"] is not None and self._duplicate(response["values"]):
            return self._random_populate_space()
        return response


class _Grid(keras_tuner.oracles.GridSearchOracle):
    """Keeps its place in the grid, which KerasTuner's forgets."""

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
    """Chooses trials; `state` is everything it knows."""

    def __init__(self, search: Search, full_length: float):
        """A fresh oracle; `full_length` is the experiment's, for Hyperband."""
        self._search = search
        self._spelled = {
            dimension.path: {_encoded(dimension)(value): value for value in dimension.values}
            for dimension in search.space
            if isinstance(dimension, space.Choice)
        }
        self._oracle = _create(search, full_length)
        # Every change is saved by whoever calls, as one file.
        self._oracle.save = self._oracle._save_trial = lambda *_: None
        self._oracle.verbose = 0

    def ask(self) -> Proposal | str:
        """The next trial; "wait" until one that runs has ended; "done" when there is none."""
        # A name for each trial: KerasTuner hands a name that holds a trial the same one again.
        trial = self._oracle.create_trial(f"trial-{len(self._oracle.trials)}")
        if trial.status != "RUNNING":
            return "wait" if trial.status == "IDLE" else "done"
        values: dict[str, Any] = dict(trial.hyperparameters.values)
        share = 1.0
        if isinstance(self._search.oracle, space.Hyperband):
            share = values[f"{_HYPERBAND}epochs"] / self._oracle.max_epochs
        return Proposal(
            id=trial.trial_id,
            values={
                path: self._spelled.get(path, {}).get(value, value)
                for path, value in values.items()
                if not path.startswith(_HYPERBAND)
            },
            share=share,
            continues=values.get(f"{_HYPERBAND}trial_id", ""),
        )

    @property
    def work(self) -> list[float]:
        """What each trial trains of the full length, of all it will propose; [] if it may go on.

        A trial that continues another trains the difference. Failures make them fewer.
        """
        if isinstance(self._search.oracle, space.Grid):
            return [1.0] * _combinations(self._search.space, self._oracle.hyperparameters)
        if isinstance(self._search.oracle, space.Hyperband):
            return _hyperband_work(self._oracle)
        return []

    def tell(self, trial_id: str, score: float | None) -> None:
        """Ends a trial; None is a failed one.

        A failed trial counts as the worst there is where the oracle would otherwise propose
        the same again (Bayesian) or wait for it in vain (Hyperband).
        """
        trial = self._oracle.trials[trial_id]
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
        """JSON from which `restore` makes an oracle that goes on as this one would."""
        trials = [trial.get_state() for trial in self._oracle.trials.values()]
        return {"oracle": self._oracle.get_state(), "trials": trials}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over a state."""
        trials = map(KerasTunerTrial.from_state, state["trials"])
        self._oracle.trials = {trial.trial_id: trial for trial in trials}
        self._oracle.set_state(state["oracle"])


def _create(search: Search, full_length: float) -> Any:
    kind = search.oracle
    common = {
        "objective": keras_tuner.Objective(search.objective.name, search.objective.direction),
        "hyperparameters": _hyperparameters(search),
        # 0 would be taken for none and replaced by a random one.
        "seed": search.seed + 1,
        # Three failures in a row would end the search.
        "max_consecutive_failed_trials": sys.maxsize,
    }
    if isinstance(kind, space.Hyperband):
        # 0.3 / 0.1 is a little less than 3.
        longest = int(full_length / kind.shortest + 1e-9)
        return keras_tuner.oracles.HyperbandOracle(max_epochs=longest, factor=kind.factor, **common)
    # How many trials there are is the study's to say, so that more can be asked for later.
    common["max_trials"] = None
    if isinstance(kind, space.Bayesian):
        return _Bayesian(num_initial_points=kind.initial or None, beta=kind.exploration, **common)
    if isinstance(kind, space.Grid):
        return _Grid(**common)
    return keras_tuner.oracles.RandomSearchOracle(**common)


def _combinations(
    dimensions: Sequence[space.Dimension], holder: Any, chosen: Mapping[str, str] | None = None
) -> int:
    """How many points KerasTuner's grid has."""
    if not dimensions:
        return 1
    first, *rest = dimensions
    chosen = chosen or {}
    when = first.when
    if when is not None and chosen.get(when.path) not in list(map(space.text, when.values)):
        return _combinations(rest, holder, chosen)
    if isinstance(first, space.Choice):
        values = map(space.text, first.values)
        return sum(_combinations(rest, holder, {**chosen, first.path: text}) for text in values)
    own = next(own for own in holder.space if own.name == first.path)
    return len({own.default, *own.values}) * _combinations(rest, holder, chosen)


def _hyperband_work(oracle: Any) -> list[float]:
    work = []
    for bracket in reversed(range(oracle._get_num_brackets())):
        before = 0
        for rung in range(oracle._get_num_rounds(bracket)):
            epochs = oracle._get_epochs(bracket, rung)
            work += [(epochs - before) / oracle.max_epochs] * oracle._get_size(bracket, rung)
            before = epochs
    return work


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


def _encoded(dimension: space.Dimension) -> Any:
    """KerasTuner's choices are all numbers of one type, in their order, or all text."""
    assert isinstance(dimension, space.Choice)
    types = {type(value) for value in dimension.values}
    return (lambda value: value) if types in ({int}, {float}) else space.text
