"""The state of a search: the status and the worker of each trial, in one file.

Only `claim`, `end` and `expire` change it, and they save it before they return. They and
`heartbeat` must not run at the same time.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from trainer.config import loading, overrides
from trainer.config.inspection import differences, leaves
from trainer.errors import UserError
from trainer.io import files
from trainer.tune import validation
from trainer.tune.coordinator import HeartbeatReply, NoTrial
from trainer.tune.layout import Layout
from trainer.tune.median_stopping import MedianStopping
from trainer.tune.oracle import Oracle, Proposal
from trainer.tune.outcome import Outcome, TrialStatus
from trainer.tune.space import Hyperband, Search, describe
from trainer.tune.trial import Trial, ranked, trial_from_json

# For oracles without an end of their own.
_DEFAULT_TRIALS = 20
# If this many first trials are refused for one reason, the reason is not in the search space.
_MIN_REFUSED = 3
# A trial that was lost this often probably ends the host that runs it.
_MAX_LOST = 3


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits of a search; 0 means none.

    Attributes:
      trials: maximum number of trials; 0: all of the oracle, or 20.
      trial_seconds: running time of a trial, over all its claims.
      search_seconds: running time of the search, over all its starts.
    """

    trials: int = 0
    trial_seconds: float = 0.0
    search_seconds: float = 0.0


class Study:
    """The search in a directory, new or resumed. It is the `Coordinator` of its workers.

    Attributes:
      layout, search, experiment: as given.
      limits: as given.
      max_trials: the maximum number of trials.
      budget: their total cost, in trainings of full length.
      trials: by id, in the order of the proposals.
    """

    def __init__(
        self,
        layout: Layout,
        search: Search,
        experiment: loading.Experiment,
        limits: Limits,
        baseline: bool = True,
        log: Callable[[str], None] = lambda _: None,
        timeout: float = 0.0,
        clock: Callable[[], float] = time.time,
    ):
        """Opens the directory, which the caller has locked.

        Args:
          layout: the directory.
          search: the search.
          experiment: the experiment that trials vary, including its test split.
          limits: of trials and time.
          baseline: whether the experiment itself is the first trial of a new search.
          log: called with a line for each event.
          timeout: seconds without a heartbeat after which another worker resumes a trial; 0
            for workers in this process, whose heartbeats cannot fail.
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
        self.limits = limits
        self._baseline = baseline
        self._base = validation.without_test_split(experiment)
        self._opened = clock()
        self._seconds_before = 0.0
        self._last_heartbeat: dict[str, float] = {}
        self._notified: set[str] = set()
        self._median = MedianStopping(layout, search)
        self._oracle = Oracle(
            search, getattr(experiment.train, validation.length_field(experiment))
        )
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
        costs = self._oracle.costs
        if costs and self._baseline:
            costs = [1.0, *costs]
        self.max_trials = limits.trials or len(costs) or _DEFAULT_TRIALS
        self.budget = sum((costs or [1.0] * self.max_trials)[: self.max_trials])
        self._save()

    def claim(self, worker: str) -> str | NoTrial:
        """Assigns a trial to a worker: its own, else a waiting one, else a new one.

        A worker that claims again while it has a trial did not receive the first answer.
        """
        self._last_heartbeat[worker] = self._clock()
        for trial in self.trials.values():
            if trial.status is TrialStatus.RUNNING and trial.worker == worker:
                return trial.id
        for trial in self.trials.values():
            if trial.status is TrialStatus.WAITING and not self.is_out_of_time:
                if trial.lost < _MAX_LOST:
                    return self._start(trial, worker)
                reason = f"its worker or host was lost {trial.lost} times"
                self._finish(trial, Outcome(TrialStatus.FAILED, reason=reason))
        while True:
            proposal = self._propose()
            if isinstance(proposal, NoTrial):
                if self.running or proposal is NoTrial.WAIT:
                    return NoTrial.WAIT
                self._notified.add(worker)
                return NoTrial.DONE
            trial = Trial(
                **dataclasses.asdict(proposal), baseline=self._baseline and not self.trials
            )
            self.trials[trial.id] = trial
            if self._configure(trial):
                return self._start(trial, worker)

    def _propose(self) -> Proposal | NoTrial:
        if self.is_out_of_time or len(self.trials) >= self.max_trials:
            return NoTrial.DONE
        if self._baseline and not self.trials:
            given = {leaf.path: leaf.value for leaf in leaves(self.experiment)}
            paths = [dimension.path for dimension in self.search.space]
            return self._oracle.add_baseline({path: given[path] for path in paths if path in given})
        return self._oracle.ask()

    def heartbeat(self, worker: str, trial_id: str) -> HeartbeatReply:
        """Records a heartbeat; the reply tells whether the worker should continue the trial."""
        self._last_heartbeat[worker] = self._clock()
        trial = self.trials.get(trial_id)
        if trial is None:
            # The worker's trial is of another search that used this address.
            return HeartbeatReply.LOST
        if trial.status is TrialStatus.WAITING and trial.worker == worker:
            # The heartbeat came late, but no other worker has claimed the trial.
            trial.status, trial.started = TrialStatus.RUNNING, self._clock()
            trial.lost -= 1
        if trial.status is not TrialStatus.RUNNING or trial.worker != worker:
            return HeartbeatReply.LOST
        if self.is_out_of_time or self._is_too_long(trial):
            return HeartbeatReply.STOP
        if self._median.stopping_value(trial, self.trials.values()) is None:
            return HeartbeatReply.CONTINUE
        return HeartbeatReply.STOP

    def end(self, worker: str, trial_id: str) -> None:
        """Reads the outcome of a trial, unless another worker has claimed it."""
        trial = self.trials.get(trial_id)
        if trial is None or not trial.is_open or trial.worker != worker:
            return
        outcome = Outcome.read(self.layout.outcome(trial_id))
        is_stopped = outcome.status is TrialStatus.STOPPED
        if outcome.is_open or (is_stopped and self.is_out_of_time):
            self._release(trial)
            trial.worker = ""
            self._save()
            return
        if is_stopped:
            reason = "below the median"
            if self._is_too_long(trial):
                reason = f"longer than {self.limits.trial_seconds:g} s"
            score = self._median.score(trial, self.trials.values())
            outcome = Outcome(outcome.status, score, reason)
        self._finish(trial, outcome)

    def expire(self) -> None:
        """Releases the trials of workers whose heartbeats have ceased."""
        now = self._clock()
        for trial in self.running:
            silent = now - self._last_heartbeat.setdefault(trial.worker, now)
            if silent > self._timeout > 0:
                self._release(trial)
                trial.lost += 1
                self._save()
                self._log(
                    f"trial {trial.id}: no heartbeat from {trial.worker} for {silent:.0f} s; "
                    "another worker will resume it"
                )

    def read_curves(self) -> None:
        """Reads what the trials have reported, for median stopping.

        It may take long if the directory is in a bucket, and may run during other calls.
        """
        self._median.read(list(self.trials.values()))

    @property
    def is_out_of_time(self) -> bool:
        """True if the search has reached its time limit; open trials then wait for more time."""
        limit = self.limits.search_seconds
        return bool(limit) and self.seconds >= limit

    @property
    def seconds(self) -> float:
        """How long the search has been running, over all its starts."""
        return self._seconds_before + self._clock() - self._opened

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
        """The best of the longest finished trials; of equal ones the first."""
        return next(iter(ranked(self.trials.values(), self.search.objective)), None)

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
        if self.is_out_of_time:
            return not self.running
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
        # From here on, an earlier worker of the trial that is still alive must not write.
        files.write_text(self.layout.fence(trial.id), worker)
        self._save()
        what = "the configuration as given  " if trial.baseline else ""
        self._log(f"trial {trial.id} {verb}: {what}{describe(trial.values)}")
        return trial.id

    def _release(self, trial: Trial) -> None:
        trial.status = TrialStatus.WAITING
        trial.seconds += self._clock() - trial.started

    def _is_too_long(self, trial: Trial) -> bool:
        limit = self.limits.trial_seconds
        return bool(limit) and trial.seconds + self._clock() - trial.started >= limit

    def _configure(self, trial: Trial) -> bool:
        """Writes the configuration of a new trial; returns False if it is invalid."""
        try:
            experiment = self._with_values(self._base, trial)
            parent = self.trials.get(trial.parent)
            if parent is not None and parent.score is None:
                raise UserError(f"trial {parent.id}, which it would resume, has no score")
        except UserError as error:
            self._finish(trial, Outcome(TrialStatus.REFUSED, reason=str(error)))
            return False
        if trial.parent:
            files.write_text(self.layout.parent(trial.id), trial.parent)
        if isinstance(self.search.oracle, Hyperband):
            experiment = validation.shortened(experiment, trial.fraction)
        files.write_text(self.layout.config(trial.id), loading.to_json(experiment))
        return True

    @staticmethod
    def _with_values(experiment: loading.Experiment, trial: Trial) -> loading.Experiment:
        # The values of the baseline are those of the experiment already.
        return experiment if trial.baseline else overrides.apply(experiment, trial.values)

    def _finish(self, trial: Trial, outcome: Outcome) -> None:
        score = outcome.score
        trial.status, trial.score, trial.reason = outcome.status, score, outcome.reason
        trial.ended = self._clock()
        self._oracle.tell(trial.id, score)
        best = self.best
        if best is not None:
            experiment = self._with_values(self.experiment, best)
            experiment = validation.with_unused_seed(experiment, self.search)
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
                "seconds": self.seconds,
                "trials": [dataclasses.asdict(trial) for trial in self.trials.values()],
                "oracle": self._oracle.state(),
            },
        )

    def _restore(self, state: Mapping[str, Any]) -> None:
        # Searches of earlier versions have neither a duration nor a baseline.
        self._seconds_before = state.get("seconds", 0.0)
        self._baseline = any(trial.get("baseline") for trial in state["trials"])
        self._oracle.restore(state["oracle"])
        for values in state["trials"]:
            trial = trial_from_json(values)
            if trial.status is TrialStatus.RUNNING and not self._timeout:
                # Its worker was part of a process that was killed.
                trial.status = TrialStatus.WAITING
                trial.lost += 1
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
