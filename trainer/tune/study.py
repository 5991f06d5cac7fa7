"""The state of a search: the status and the worker of each trial, in one file.

Only `claim`, `end` and `expire` change it, and they save it before they return.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from trainer.config import loading, overrides
from trainer.config.inspection import differences
from trainer.errors import UserError
from trainer.io import files
from trainer.tune import validation
from trainer.tune.coordinator import HeartbeatReply, NoTrial
from trainer.tune.layout import Layout, read_experiment
from trainer.tune.median_stopping import Curve, read_curve, stopping_value
from trainer.tune.oracle import Oracle, Proposal
from trainer.tune.outcome import Outcome, TrialStatus
from trainer.tune.space import Search, Value, describe

# For oracles without an end of their own.
_DEFAULT_TRIALS = 20
# If this many first trials are refused for one reason, the reason is not in the search space.
_MIN_REFUSED = 3


@dataclasses.dataclass
class Trial:
    """One trial.

    Attributes:
      id, values, fraction, parent: as in `Proposal`.
      status: the status.
      worker: the worker that runs it, or ran it last.
      claims: the workers that ran it, in order.
      started, ended: when it was last claimed and when it ended, seconds since 1970.
      score: the objective, if there is one.
      reason: why it failed, was refused or was stopped.
    """

    id: str
    values: dict[str, Value]
    fraction: float
    parent: str
    status: TrialStatus = TrialStatus.RUNNING
    worker: str = ""
    claims: list[str] = dataclasses.field(default_factory=list)
    started: float = 0.0
    ended: float = 0.0
    score: float | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """True until the trial has ended."""
        return self.status.is_open


class Study:
    """The search in a directory, new or resumed. It is the `Coordinator` of its workers.

    Attributes:
      layout, search, experiment: as given.
      max_trials: the maximum number of trials.
      budget: their total cost, in trainings of full length.
      trials: by id, in the order of the proposals.
    """

    def __init__(
        self,
        layout: Layout,
        search: Search,
        experiment: loading.Experiment,
        max_trials: int,
        log: Callable[[str], None] = lambda _: None,
        timeout: float = 0.0,
        clock: Callable[[], float] = time.time,
    ):
        """Opens the directory, which the caller has locked.

        Args:
          layout: the directory.
          search: the search.
          experiment: the experiment that trials vary, including its test split.
          max_trials: maximum number of trials; 0: all of the oracle, or 20.
          log: called with a line for each event.
          timeout: seconds without a heartbeat after which another worker resumes a trial; 0
            for workers in this process, which send no heartbeats.
          clock: returns seconds since 1970.

        Raises:
          UserError: if the directory contains another search.
        """
        self.layout = layout
        self.search = search
        self.experiment = experiment
        self.trials: dict[str, Trial] = {}
        self._log = log
        self._timeout = timeout
        self._clock = clock
        self._base = validation.without_test_split(experiment)
        self._last_heartbeat: dict[str, float] = {}
        self._notified: set[str] = set()
        self._curves: dict[str, Curve] = {}
        self._oracle = Oracle(
            search, getattr(experiment.train, validation.length_field(experiment))
        )
        costs = self._oracle.costs
        self.max_trials = max_trials or len(costs) or _DEFAULT_TRIALS
        self.budget = sum((costs or [1.0] * self.max_trials)[: self.max_trials])
        self._identity = {
            "config": json.loads(loading.to_json(experiment)),
            "search": json.loads(json.dumps(search.to_json())),
        }
        if layout.state.exists():
            state = files.read_json(layout.state)
            self._check_same(state)
            # If every trial was refused, the search starts again.
            if any(trial["status"] != TrialStatus.REFUSED for trial in state["trials"]):
                self._restore(state)
        self._save()

    def claim(self, worker: str) -> str | NoTrial:
        """Assigns a trial to a worker: its own, else a waiting one, else a new one."""
        self._last_heartbeat[worker] = self._clock()
        for trial in self.trials.values():
            if trial.status is TrialStatus.RUNNING and trial.worker == worker:
                return trial.id
        for trial in self.trials.values():
            if trial.status is TrialStatus.WAITING:
                return self._start(trial, worker)
        while True:
            enough = len(self.trials) >= self.max_trials
            proposal = NoTrial.DONE if enough else self._oracle.ask()
            if isinstance(proposal, NoTrial):
                if self.running or proposal is NoTrial.WAIT:
                    return NoTrial.WAIT
                self._notified.add(worker)
                return NoTrial.DONE
            trial = Trial(**dataclasses.asdict(proposal))
            self.trials[trial.id] = trial
            if self._configure(proposal):
                return self._start(trial, worker)

    def heartbeat(self, worker: str, trial_id: str) -> HeartbeatReply:
        """Records a heartbeat; the reply tells whether the worker should continue the trial."""
        self._last_heartbeat[worker] = self._clock()
        trial = self.trials[trial_id]
        if trial.status is TrialStatus.WAITING and trial.worker == worker:
            # The heartbeat came late, but no other worker has claimed the trial.
            trial.status = TrialStatus.RUNNING
        if trial.status is not TrialStatus.RUNNING or trial.worker != worker:
            return HeartbeatReply.LOST
        if self._stopping_value(trial) is None:
            return HeartbeatReply.CONTINUE
        return HeartbeatReply.STOP

    def end(self, worker: str, trial_id: str) -> None:
        """Reads the outcome of a trial, unless another worker has claimed it."""
        trial = self.trials[trial_id]
        if not trial.is_open or trial.worker != worker:
            return
        outcome = Outcome.read(self.layout.outcome(trial_id))
        if outcome.status is TrialStatus.STOPPED:
            outcome = Outcome(outcome.status, self._stopped_score(trial), "below the median")
        self._finish(trial, outcome)

    def expire(self) -> None:
        """Releases the trials of workers whose heartbeats have ceased."""
        now = self._clock()
        for trial in self.running:
            silent = now - self._last_heartbeat.setdefault(trial.worker, now)
            if silent > self._timeout:
                trial.status = TrialStatus.WAITING
                self._save()
                self._log(
                    f"trial {trial.id}: no heartbeat from {trial.worker} for {silent:.0f} s; "
                    "another worker will resume it"
                )

    @property
    def running(self) -> list[Trial]:
        """The trials that a worker is running."""
        return [trial for trial in self.trials.values() if trial.status is TrialStatus.RUNNING]

    def cost(self, trial: Trial) -> float:
        """Returns what a trial trains beyond its parent, in trainings of full length."""
        parent = self.trials.get(trial.parent)
        return trial.fraction - (parent.fraction if parent is not None else 0.0)

    @property
    def best(self) -> Trial | None:
        """The best finished trial; of equal ones the longest, then the first."""
        sign = 1 if self.search.objective.direction == "max" else -1
        finished = [trial for trial in self.trials.values() if trial.status is TrialStatus.FINISHED]
        ranked = sorted(finished, key=lambda trial: (-sign * _score(trial), -trial.fraction))
        return ranked[0] if ranked else None

    @property
    def refusal(self) -> str:
        """The reason for which training refuses every trial; "" if it does not."""
        ended = [trial for trial in self.trials.values() if not trial.is_open]
        refused = [trial for trial in ended if trial.status is TrialStatus.REFUSED]
        reasons = {trial.reason for trial in refused if trial.claims}
        if len(ended) < _MIN_REFUSED or len(reasons) != 1:
            return ""
        return reasons.pop() if len(refused) == len(ended) else ""

    @property
    def is_over(self) -> bool:
        """True if there will be no more trials, as far as is known without a claim."""
        trials = self.trials.values()
        enough = len(trials) >= self.max_trials
        return bool(self._notified) or (enough and not any(trial.is_open for trial in trials))

    def close(self) -> None:
        """Records that the search is over, for workers that cannot reach the chief any more."""
        self._save(over=True)

    def workers_to_notify(self) -> set[str]:
        """Returns the live workers that do not know yet that the search is over."""
        now = self._clock()
        alive = {name for name, last in self._last_heartbeat.items() if now - last <= self._timeout}
        return alive - self._notified

    def _start(self, trial: Trial, worker: str) -> str:
        verb = "resumed" if trial.claims else "started"
        trial.status, trial.worker = TrialStatus.RUNNING, worker
        trial.claims.append(worker)
        trial.started = self._clock()
        self._save()
        self._log(f"trial {trial.id} {verb}: {describe(trial.values)}")
        return trial.id

    def _configure(self, proposal: Proposal) -> bool:
        """Writes the configuration of a new trial; returns False if it is invalid."""
        try:
            experiment = overrides.apply(self._base, proposal.values)
            parent = self.trials.get(proposal.parent)
            if parent is not None and parent.score is None:
                raise UserError(f"trial {parent.id}, which it would resume, has no score")
        except UserError as error:
            outcome = Outcome(TrialStatus.REFUSED, reason=str(error))
            self._finish(self.trials[proposal.id], outcome)
            return False
        if proposal.parent:
            files.write_text(self.layout.parent(proposal.id), proposal.parent)
        shortened = validation.shortened(experiment, proposal.fraction)
        files.write_text(self.layout.config(proposal.id), loading.to_json(shortened))
        return True

    def _stopping_value(self, trial: Trial) -> float | None:
        """Returns the value at which the median rule stops a trial, or None."""
        others = self.trials.values()
        finished = [other for other in others if other.status is TrialStatus.FINISHED]
        if not self.search.median_stopping or len(finished) < self.search.median_stopping:
            return None
        curves = [self._curve(other) for other in finished]
        return stopping_value(self._curve(trial), curves, self.search.objective)

    def _curve(self, trial: Trial) -> Curve:
        """Returns the objective of a trial by step; finished trials are cached."""
        if trial.id in self._curves:
            return self._curves[trial.id]
        curve = read_curve(self.layout.workdir(trial.id, 0), self.search.objective.name)
        if trial.status is TrialStatus.FINISHED:
            self._curves[trial.id] = curve
        return curve

    def _stopped_score(self, trial: Trial) -> float | None:
        value = self._stopping_value(trial)
        if value is None:
            # The median has changed because other trials have finished since.
            value = self.search.objective.best([value for _, value in self._curve(trial)])
        return value

    def _finish(self, trial: Trial, outcome: Outcome) -> None:
        score = outcome.score
        trial.status, trial.score, trial.reason = outcome.status, score, outcome.reason
        trial.ended = self._clock()
        self._oracle.tell(trial.id, score)
        best = self.best
        if best is not None:
            experiment = read_experiment(self.layout.config(best.id))
            experiment = validation.with_test_split(experiment)
            files.write_text(self.layout.best, loading.to_json(experiment))
        self._save()
        result = "" if score is None else f" with {self.search.objective.name} {score:.5g}"
        reason = f": {outcome.reason}" if outcome.reason else ""
        self._log(f"trial {trial.id} {outcome.status}{result}{reason}")

    def _save(self, over: bool = False) -> None:
        files.write_json(
            self.layout.state,
            {
                **self._identity,
                "over": over,
                "trials": [dataclasses.asdict(trial) for trial in self.trials.values()],
                "oracle": self._oracle.state(),
            },
        )

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._oracle.restore(state["oracle"])
        for values in state["trials"]:
            trial = Trial(**{**values, "status": TrialStatus(values["status"])})
            trial.values = {path: _tuples(value) for path, value in trial.values.items()}
            if trial.status is TrialStatus.RUNNING and not self._timeout:
                # Its worker was part of a process that has ended.
                trial.status = TrialStatus.WAITING
            self.trials[trial.id] = trial

    def _check_same(self, state: Mapping[str, Any]) -> None:
        old = loading.from_mapping(state["config"])
        changes = differences(old, self.experiment)
        changes += [
            f"search {name}: {state['search'].get(name)} → {value}"
            for name, value in self._identity["search"].items()
            if state["search"].get(name) != value
        ]
        if changes:
            raise UserError(
                f"--workdir {str(self.layout.root)!r} contains another search "
                f"({'; '.join(changes)}); choose another directory, or the same search"
            )


def was_closed(layout: Layout) -> bool:
    """Returns True if the file of a search says that it is over."""
    return layout.state.exists() and bool(files.read_json(layout.state)["over"])


def _score(trial: Trial) -> float:
    assert trial.score is not None, "finished trials have a score"
    return trial.score


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
