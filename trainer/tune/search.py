"""`trainer tune`: a search, run locally, as the chief of several hosts or as a worker."""

import dataclasses
import os
import sys
import threading
import time
from collections.abc import Sequence

from trainer.config import loading
from trainer.engine.preemption import StopRequest
from trainer.engine.resources import Resources, divide_machine
from trainer.errors import Interrupted, UserError
from trainer.tune import hypertune, lock, protocol, report
from trainer.tune.layout import Layout
from trainer.tune.progress import Progress
from trainer.tune.role import Role, RoleKind
from trainer.tune.space import Search, describe
from trainer.tune.study import Limits, Study, was_closed
from trainer.tune.trial_process import TrialSettings
from trainer.tune.worker import run_trials

_CHIEF_POLL_SECONDS = 0.5
# Intervals between readings of the reports of trials, for median stopping.
_LOCAL_CURVE_SECONDS = 1.0
_REMOTE_CURVE_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Request:
    """The arguments of a search.

    Attributes:
      search: the content of the search file.
      experiment: the experiment that trials vary.
      workdir: the directory of the search.
      limits: of trials and time.
      baseline: whether the experiment itself is the first trial.
      parallel_trials: on this host; 0: one per GPU.
      worker_timeout: seconds without a heartbeat after which a trial is reassigned.
      flags: of `trainer train`, for every trial.
    """

    search: Search
    experiment: loading.Experiment
    workdir: str
    limits: Limits
    baseline: bool
    parallel_trials: int
    worker_timeout: float
    flags: tuple[str, ...]


def run(request: Request, role: Role, stop: StopRequest) -> Study | None:
    """Runs or resumes a search; returns the finished study, or None on a worker.

    Raises:
      UserError: if the directory contains another search or is not accessible, or no trial
        finished.
      Interrupted: if a stop was requested; all state is saved.
    """
    layout = Layout.of(request.workdir)
    if layout.is_remote:
        # Imported here because it loads tf_keras.
        from trainer.io.paths import check_bucket

        check_bucket(request.workdir)
    if role.kind is RoleKind.WORKER:
        _run_worker(request, layout, role, stop)
        return None
    with lock.held(layout) as descriptors:
        return _run_chief(request, layout, role, stop, descriptors)


def _run_chief(
    request: Request, layout: Layout, role: Role, stop: StopRequest, descriptors: tuple[int, ...]
) -> Study:
    progress = Progress(sys.stderr)
    resources = divide_machine(request.parallel_trials) if role.trains else []
    study = Study(
        layout,
        request.search,
        request.experiment,
        request.limits,
        request.baseline,
        progress.log,
        request.worker_timeout if role.kind is RoleKind.CHIEF else 0.0,
    )
    if study.trials:
        done = sum(not trial.is_open for trial in study.trials.values())
        progress.log(
            f"resuming the search in {layout.root}: {done} of {study.max_trials} trials done"
        )
    reporter = _Reporter(study, progress, max(1, len(resources)))
    settings = _trial_settings(request, layout, descriptors)
    if resources:
        progress.log(_describe_resources(resources))
    calls = threading.Lock()
    coordinator = protocol.LockedCoordinator(study, calls)
    poll = _Poll(study, calls, reporter)
    if role.kind is RoleKind.LOCAL:
        run_trials(coordinator, settings, role.name, resources, stop, poll)
    else:
        with protocol.serve(coordinator, role.address):
            progress.log(f"chief: serving trials at {role.address}")
            run_trials(coordinator, settings, role.name, resources, stop, poll)
            _wait_for_workers(study, stop, poll)
    reporter.update()
    report.write(study)
    study.close()
    if study.best is None:
        if study.is_out_of_time:
            raise UserError(
                "no trial finished within the time limit of the search; run the same command with "
                "a larger --max_seconds"
            )
        failed = [trial for trial in study.trials.values() if trial.score is None]
        reason = failed[-1].reason if failed else "there were no trials"
        raise UserError(f"none of {len(failed)} trials finished; the last one failed: {reason}")
    return study


class _Reporter:
    """After each trial that ends: prints the progress, writes the report, checks for refusal."""

    def __init__(self, study: Study, progress: Progress, parallel_trials: int):
        self._study = study
        self._progress = progress
        self._parallel_trials = parallel_trials
        self._reported = self._count()

    def update(self) -> None:
        """Reports the trials that have ended since the last call.

        Raises:
          UserError: if training refuses every trial.
        """
        count = self._count()
        if count == self._reported:
            return
        self._reported = count
        self._progress.show(self._study, max(self._parallel_trials, len(self._study.running)))
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


class _Poll:
    """What the searching process does between its other tasks."""

    def __init__(self, study: Study, calls: threading.Lock, reporter: _Reporter):
        self._study = study
        self._calls = calls
        self._reporter = reporter
        self._interval = _REMOTE_CURVE_SECONDS if study.layout.is_remote else _LOCAL_CURVE_SECONDS
        self._next_curves = 0.0

    def __call__(self) -> None:
        if time.monotonic() >= self._next_curves:
            # Reads files, so it must not delay the calls of workers.
            self._study.read_curves()
            self._next_curves = time.monotonic() + self._interval
        with self._calls:
            self._study.expire()
            self._reporter.update()


def _wait_for_workers(study: Study, stop: StopRequest, poll: _Poll) -> None:
    """Waits until all workers know that the search is over."""
    while not study.is_over or study.workers_to_notify():
        if stop.requested:
            raise Interrupted("search stopped; its workers wait for a chief")
        poll()
        time.sleep(_CHIEF_POLL_SECONDS)


def _run_worker(request: Request, layout: Layout, role: Role, stop: StopRequest) -> None:
    resources = divide_machine(request.parallel_trials)
    print(
        f"{role.name}: trials from {role.address}; {_describe_resources(resources)}",
        file=sys.stderr,
    )
    coordinator = protocol.RemoteCoordinator(
        role.address, request.worker_timeout, lambda: was_closed(layout)
    )
    run_trials(coordinator, _trial_settings(request, layout, ()), role.name, resources, stop)
    print(f"{role.name}: the search is over", file=sys.stderr)


def _trial_settings(request: Request, layout: Layout, keep_open: tuple[int, ...]) -> TrialSettings:
    search = request.search
    return TrialSettings(layout, search.objective.name, search.executions, request.flags, keep_open)


def _describe_resources(resources: Sequence[Resources]) -> str:
    logs = "output in trials/ID/seed_0.log"
    if len(resources) == 1:
        return f"one trial at a time; {logs}"
    return f"{len(resources)} parallel trials, {'; '.join(map(str, resources))}; {logs}"


def final_summary(study: Study) -> str:
    """Returns the best trial of a finished study, and how to train it."""
    best = study.best
    assert best is not None, "a search without a finished trial raises an error"
    root = study.layout.shown
    name = study.search.objective.name
    finished = "time limit reached" if study.is_out_of_time else "finished"
    return (
        f"{finished}: {len(study.trials)} trials, best {name} {best.score:.5g} "
        f"by trial {best.id}: {describe(best.values)}\n"
        f"files in {root}: report.html, search.json, best/config.json, trials/\n"
        f"next: trainer train --config={root}/best/config.json --workdir={root}/best/run"
    )
