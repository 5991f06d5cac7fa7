"""The state of a search: who runs which trial, and how each ended. One file holds it.

It is changed by `claim`, `end` and `expire` alone, and saved before they answer.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from trainer.config import loading
from trainer.errors import UserError
from trainer.tune import files, validation
from trainer.tune.coordinator import DONE, GO_ON, LOST, STOP, WAIT
from trainer.tune.files import Layout
from trainer.tune.median_stopping import Curve, hopeless_at, read_curve
from trainer.tune.oracle import Oracle, Proposal
from trainer.tune.outcome import Outcome
from trainer.tune.space import Search, Value, described, overrides

# Of oracles that know no end of their own.
_DEFAULT_TRIALS = 20
# So many first trials, all refused for one reason, show that the reason is not in the space.
_REFUSED_ALIKE = 3


@dataclasses.dataclass
class Trial:
    """One trial.

    Attributes:
      id, values, share, continues: as in `Proposal`.
      status: running; waiting, to be taken up again; finished, stopped, failed or refused.
      worker: who runs it, or ran it.
      claims: workers that took it up, in their order.
      began, ended: when it was last taken up and when it ended, seconds since 1970.
      score: the objective, where there is one.
      reason: why it failed, was refused or was stopped.
    """

    id: str
    values: dict[str, Value]
    share: float
    continues: str
    status: str = "running"
    worker: str = ""
    claims: list[str] = dataclasses.field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0
    score: float | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it has yet to end."""
        return self.status in ("running", "waiting")


class Study:
    """The search in a directory, new or taken up again.

    Attributes:
      layout, search, experiment: as given.
      max_trials: how many there will be at most.
      work: what they train together, in trainings of full length.
      trials: by their ids, in the order of the proposals.
    """

    def __init__(
        self,
        layout: Layout,
        search: Search,
        experiment: loading.Experiment,
        max_trials: int,
        say: Callable[[str], None] = lambda _: None,
        timeout: float = 0.0,
        clock: Callable[[], float] = time.time,
    ):
        """Opens the directory, which the caller has locked.

        Args:
          layout: where it is.
          search: what is searched.
          experiment: what trials vary, test split and all.
          max_trials: proposals taken at most; 0: as many as the oracle has, or 20.
          say: takes a line for each thing that happens.
          timeout: seconds of a worker's silence after which its trial is given to another;
            0: workers are part of this process and are never silent.
          clock: seconds since 1970.

        Raises:
          UserError: if the directory holds another search.
        """
        self.layout = layout
        self.search = search
        self.experiment = experiment
        self.trials: dict[str, Trial] = {}
        self._say = say
        self._timeout = timeout
        self._clock = clock
        self._base = validation.for_trials(experiment)
        self._heard: dict[str, float] = {}
        self._told: set[str] = set()
        self._curves: dict[str, Curve] = {}
        self._oracle = Oracle(
            search, getattr(experiment.train, validation.length_field(experiment))
        )
        work = self._oracle.work
        self.max_trials = max_trials or len(work) or _DEFAULT_TRIALS
        self.work = sum((work or [1.0] * self.max_trials)[: self.max_trials])
        self._identity = {
            "config": json.loads(loading.to_json(experiment)),
            "search": json.loads(json.dumps(search.to_json())),
        }
        if layout.state.exists():
            state = json.loads(layout.state.read_text())
            self._check_same(state)
            # Where every trial was refused, nothing is lost by beginning anew.
            if any(trial["status"] != "refused" for trial in state["trials"]):
                self._take_over(state)
        self._save()

    def claim(self, worker: str) -> str:
        """Gives a worker a trial: its own, else one that waits, else a new one."""
        self._heard[worker] = self._clock()
        for trial in self.trials.values():
            if trial.status == "running" and trial.worker == worker:
                return trial.id
        for trial in self.trials.values():
            if trial.status == "waiting":
                return self._start(trial, worker)
        while True:
            enough = len(self.trials) >= self.max_trials
            proposal = "done" if enough else self._oracle.ask()
            if isinstance(proposal, str):
                if self.running or proposal == "wait":
                    return WAIT
                self._told.add(worker)
                return DONE
            trial = Trial(**dataclasses.asdict(proposal))
            self.trials[trial.id] = trial
            if self._configure(proposal):
                return self._start(trial, worker)

    def beat(self, worker: str, trial_id: str) -> str:
        """Whether a worker's trial should go on: it is its own, and not hopeless."""
        self._heard[worker] = self._clock()
        trial = self.trials[trial_id]
        if trial.status == "waiting" and trial.worker == worker:
            # Silent for too long, and nobody else has taken it up.
            trial.status = "running"
        if trial.status != "running" or trial.worker != worker:
            return LOST
        return GO_ON if self._verdict(trial) is None else STOP

    def end(self, worker: str, trial_id: str) -> None:
        """Takes a trial's outcome; that of one given to another worker does not count."""
        trial = self.trials[trial_id]
        if not trial.is_open or trial.worker != worker:
            return
        outcome = Outcome.read(self.layout.outcome(trial_id))
        if outcome.status == "stopped":
            self._finish(trial, "stopped", self._value_when_stopped(trial), "below the median")
        else:
            self._finish(trial, outcome.status, outcome.score, outcome.reason)

    def expire(self) -> None:
        """Frees the trials of workers that have been silent for too long."""
        now = self._clock()
        for trial in self.running:
            silent = now - self._heard.setdefault(trial.worker, now)
            if silent > self._timeout:
                trial.status = "waiting"
                self._save()
                self._say(
                    f"trial {trial.id}: {trial.worker} has been silent for {silent:.0f} s; "
                    "another worker goes on with it"
                )

    @property
    def running(self) -> list[Trial]:
        """The trials that somebody runs."""
        return [trial for trial in self.trials.values() if trial.status == "running"]

    def trained(self, trial: Trial) -> float:
        """What a trial trains beyond the one that it goes on from, as a part of full length."""
        source = self.trials.get(trial.continues)
        return trial.share - (source.share if source is not None else 0.0)

    @property
    def best(self) -> Trial | None:
        """The best finished trial; of equals the longest, of those the first."""
        sign = 1 if self.search.objective.direction == "max" else -1
        finished = [trial for trial in self.trials.values() if trial.status == "finished"]
        ranked = sorted(finished, key=lambda trial: (-sign * _score(trial), -trial.share))
        return ranked[0] if ranked else None

    @property
    def refusal(self) -> str:
        """Why training refuses whatever is proposed: the first trials were refused alike."""
        trials = list(self.trials.values())
        reasons = {trial.reason for trial in trials if trial.status == "refused" and trial.claims}
        ended = [trial for trial in trials if not trial.is_open]
        if len(ended) < _REFUSED_ALIKE or len(reasons) != 1:
            return ""
        return reasons.pop() if all(trial.status == "refused" for trial in ended) else ""

    @property
    def is_over(self) -> bool:
        """Whether there will be no more trials, as far as is known without asking for one."""
        trials = self.trials.values()
        enough = len(trials) >= self.max_trials
        return bool(self._told) or (enough and not any(trial.is_open for trial in trials))

    def close(self) -> None:
        """Writes down that the search is over, for workers that find no chief any more."""
        self._save(over=True)

    def workers_to_tell(self) -> set[str]:
        """Workers, not silent for too long, that have yet to hear that the search is over."""
        now = self._clock()
        alive = {name for name, heard in self._heard.items() if now - heard <= self._timeout}
        return alive - self._told

    def _start(self, trial: Trial, worker: str) -> str:
        again = bool(trial.claims)
        trial.status, trial.worker = "running", worker
        trial.claims.append(worker)
        trial.began = self._clock()
        self._save()
        self._say(f"trial {trial.id} {'goes on' if again else 'begins'}: {described(trial.values)}")
        return trial.id

    def _configure(self, proposal: Proposal) -> bool:
        """Writes a new trial's configuration; one that cannot be has failed."""
        try:
            experiment = loading.override(self._base, overrides(proposal.values))
            source = self.trials.get(proposal.continues)
            if source is not None and source.score is None:
                raise UserError(f"trial {source.id}, which it would go on from, has no score")
        except UserError as error:
            self._finish(self.trials[proposal.id], "refused", None, str(error))
            return False
        if proposal.continues:
            files.write_text(self.layout.source(proposal.id), proposal.continues)
        shortened = validation.shortened(experiment, proposal.share)
        files.write_text(self.layout.config(proposal.id), loading.to_json(shortened))
        return True

    def _verdict(self, trial: Trial) -> float | None:
        """The value at which the median rule stops a trial; None lets it go on."""
        finished = [other for other in self.trials.values() if other.status == "finished"]
        if not self.search.median_stopping or len(finished) < self.search.median_stopping:
            return None
        others = [self._curve(other) for other in finished]
        return hopeless_at(self._curve(trial), others, self.search.objective)

    def _curve(self, trial: Trial) -> Curve:
        """A trial's objective by step; that of a finished one is read once."""
        if trial.id in self._curves:
            return self._curves[trial.id]
        curve = read_curve(self.layout.workdir(trial.id, 0), self.search.objective.name)
        if trial.status == "finished":
            self._curves[trial.id] = curve
        return curve

    def _value_when_stopped(self, trial: Trial) -> float | None:
        value = self._verdict(trial)
        if value is None:
            # Others have finished since, and moved the median.
            value = self.search.objective.best([value for _, value in self._curve(trial)])
        return value

    def _finish(self, trial: Trial, status: str, score: float | None, reason: str) -> None:
        trial.status, trial.score, trial.reason = status, score, reason
        trial.ended = self._clock()
        self._oracle.tell(trial.id, score)
        best = self.best
        if best is not None:
            experiment = files.read_experiment(self.layout.config(best.id))
            if validation.for_trials(self.experiment) != self.experiment:
                experiment = loading.override(experiment, ["--config.evaluate.split=test"])
            files.write_text(self.layout.best, loading.to_json(experiment))
        self._save()
        figure = "" if score is None else f" with {self.search.objective.name} {score:.5g}"
        why = f": {reason}" if reason else ""
        self._say(f"trial {trial.id} {status}{figure}{why}")

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

    def _take_over(self, state: Mapping[str, Any]) -> None:
        self._oracle.restore(state["oracle"])
        for values in state["trials"]:
            trial = Trial(**values)
            trial.values = {path: _tuples(value) for path, value in trial.values.items()}
            if trial.status == "running" and not self._timeout:
                # Its worker was part of the process that is gone.
                trial.status = "waiting"
            self.trials[trial.id] = trial

    def _check_same(self, state: Mapping[str, Any]) -> None:
        old = loading.from_mapping(state["config"])
        differing = loading.differences(old, self.experiment)
        differing += [
            f"search {name}: {state['search'].get(name)} → {value}"
            for name, value in self._identity["search"].items()
            if state["search"].get(name) != value
        ]
        if differing:
            raise UserError(
                f"--workdir holds another search ({'; '.join(differing)}); take another "
                f"directory, or the same search. Received: {str(self.layout.root)!r}"
            )


def was_closed(layout: Layout) -> bool:
    """Whether a search is over, by its file."""
    return layout.state.exists() and bool(json.loads(layout.state.read_text())["over"])


def _score(trial: Trial) -> float:
    assert trial.score is not None, "a finished trial has one"
    return trial.score


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
