"""`trainer tune`: a whole search, in whichever part this process plays."""

import dataclasses
import os
import sys
import threading
import time
from collections.abc import Sequence

from trainer.config import loading
from trainer.engine.preemption import StopRequest
from trainer.errors import Interrupted, UserError
from trainer.tune import hypertune, lock, protocol, report
from trainer.tune.files import Layout
from trainer.tune.progress import Progress
from trainer.tune.resources import Share, shares
from trainer.tune.role import Role
from trainer.tune.space import Search, described
from trainer.tune.study import Study, was_closed
from trainer.tune.trial_process import Plan
from trainer.tune.worker import work

_CHIEF_POLL_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
      search: the search file's content.
      experiment: what its trials vary.
      workdir: the search's directory.
      max_trials: 0: as many as the oracle has, or 20.
      parallel_trials: on this host; 0: one an accelerator.
      worker_timeout: seconds of a worker's silence before its trial is another's.
      flags: of `trainer train`, for every trial.
    """

    search: Search
    experiment: loading.Experiment
    workdir: str
    max_trials: int
    parallel_trials: int
    worker_timeout: float
    flags: tuple[str, ...]


def run(request: Request, role: Role, stop: StopRequest) -> Study | None:
    """Searches, or goes on with a search; returns it when it is over, None on a worker.

    Raises:
      UserError: if the directory is another search's or out of reach, or no trial was any good.
      Interrupted: when a stop was requested; everything is saved.
    """
    layout = Layout.of(request.workdir)
    if layout.is_remote:
        # It loads TensorFlow once more, with another Keras.
        from trainer.io.paths import check_bucket

        check_bucket(request.workdir)
    if role.kind == "worker":
        _be_worker(request, layout, role, stop)
        return None
    with lock.held(layout) as descriptors:
        return _be_chief(request, layout, role, stop, descriptors)


def _be_chief(
    request: Request, layout: Layout, role: Role, stop: StopRequest, descriptors: tuple[int, ...]
) -> Study:
    progress = Progress(sys.stderr)
    parts = shares(request.parallel_trials) if role.trains else []
    study = Study(
        layout,
        request.search,
        request.experiment,
        request.max_trials,
        progress.say,
        request.worker_timeout if role.kind == "chief" else 0.0,
    )
    if study.trials:
        done = sum(not trial.is_open for trial in study.trials.values())
        progress.say(
            f"going on with the search in {layout.root}: {done} of {study.max_trials} trials done"
        )
    ended = _Ended(study, progress, max(1, len(parts)))
    plan = _plan(request, layout, descriptors)
    if parts:
        progress.say(_side_by_side(parts))
    if role.kind == "alone":
        work(study, plan, role.name, parts, stop, tick=ended.look)
    else:
        with protocol.serving(study, role.address) as calls:
            progress.say(f"chief: giving out trials at {role.address}")
            _give_out(study, calls, plan, role, parts, stop, ended)
    ended.look()
    report.write(study)
    study.close()
    if study.best is None:
        failed = [trial for trial in study.trials.values() if trial.score is None]
        why = failed[-1].reason if failed else "there was none"
        raise UserError(f"no trial finished; the last one: {why}. Received: {len(failed)} failures")
    return study


class _Ended:
    """Notices that trials have ended: progress, report, the tuning service, a way to stop."""

    def __init__(self, study: Study, progress: Progress, at_once: int):
        self._study = study
        self._progress = progress
        self._at_once = at_once
        self._seen = self._count()

    def look(self) -> None:
        """Says what is new.

        Raises:
          UserError: if every trial would be refused.
        """
        count = self._count()
        if count == self._seen:
            return
        self._seen = count
        at_once = max(self._at_once, len(self._study.running))
        self._progress.ended(self._study, at_once)
        report.write(self._study)
        best = self._study.best
        if best is not None:
            name = self._study.search.objective.name
            hypertune.report({name: best.score}, count, os.environ)
        if self._study.refusal:
            self._study.close()
            raise UserError(f"every trial is refused: {self._study.refusal}")

    def _count(self) -> int:
        return sum(not trial.is_open for trial in self._study.trials.values())


def _give_out(
    study: Study,
    calls: threading.Lock,
    plan: Plan,
    role: Role,
    parts: Sequence[Share],
    stop: StopRequest,
    ended: _Ended,
) -> None:
    """Runs trials in `parts` of this host, and waits until every worker knows of the end."""

    def tick() -> None:
        with calls:
            study.expire()
            ended.look()

    work(protocol.OneAtATime(study, calls), plan, role.name, parts, stop, tick)
    while not study.is_over or study.workers_to_tell():
        if stop.requested:
            raise Interrupted("search stopped; its workers wait for a chief")
        tick()
        time.sleep(_CHIEF_POLL_SECONDS)


def _be_worker(request: Request, layout: Layout, role: Role, stop: StopRequest) -> None:
    parts = shares(request.parallel_trials)
    print(f"{role.name}: trials from {role.address}; {_side_by_side(parts)}", file=sys.stderr)
    board = protocol.RemoteBoard(role.address, request.worker_timeout, lambda: was_closed(layout))
    work(board, _plan(request, layout, ()), role.name, parts, stop)
    print(f"{role.name}: the search is over", file=sys.stderr)


def _plan(request: Request, layout: Layout, keep_open: tuple[int, ...]) -> Plan:
    search = request.search
    return Plan(layout, search.objective.name, search.executions, request.flags, keep_open)


def _side_by_side(parts: Sequence[Share]) -> str:
    prints = "what each prints is in trials/ID/seed_0.log"
    if len(parts) == 1:
        return f"one trial at a time; {prints}"
    return f"{len(parts)} trials side by side, {'; '.join(map(str, parts))}; {prints}"


def closing_words(study: Study) -> str:
    """What was found, and how to train it."""
    best = study.best
    assert best is not None, "a search without a finished trial has ended in an error"
    root = study.layout.shown
    name = study.search.objective.name
    return (
        f"finished: {len(study.trials)} trials, best {name} {best.score:.5g} "
        f"by trial {best.id}: {described(best.values)}\n"
        f"files in {root}: report.html, search.json, best/config.json, trials/\n"
        f"next: trainer train --config={root}/best/config.json --workdir={root}/best/run"
    )
