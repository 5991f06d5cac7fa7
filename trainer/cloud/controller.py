"""Brings a job to its end: rents machines, follows them, replaces those that are lost.

`Controller.drive` is a loop that looks at the records in the work directory and at the machines,
and does the one thing that is due. It keeps nothing that matters in memory. It can be killed at
any moment, and the same command continues on any computer. The machines need it only to be
replaced when they are lost.
"""

import hashlib
import shlex
import time
from collections.abc import Callable, Mapping

from trainer.cloud import commands, records
from trainer.cloud.attempts import affordable_seconds, last_attempt, new_attempt
from trainer.cloud.command_errors import ErrorKind, command_failed
from trainer.cloud.commands import CommandFailed
from trainer.cloud.console import Console
from trainer.cloud.log import LogReader
from trainer.cloud.records import Attempt, End, HostStatus, JobFailed, JobRecord, Outcome
from trainer.cloud.target import Health, Machines, Observed
from trainer.engine.preemption import StopRequest
from trainer.errors import Interrupted, UserError

# All times are in seconds. Before machines that look lost are given up: the job may be saving its
# state, its last report may be on its way, and the service may be inconsistent for a moment.
_GRACE = 180.0
# For a job to save its state and report, once it has been asked to stop.
_STOP_TIMEOUT = 420.0
# Between two attempts when there is no capacity: this long, doubled each time up to the maximum.
_STOCK_OUT_DELAY = 30.0
_MAX_DELAY = 600.0
# How long to wait in one of several places before trying the next.
_PLACE_PATIENCE = 900.0
# How long to try to delete something after the end, and to reach the cloud after the deadline.
_LAST_EFFORT = 1800.0
_CANCELLED = "cancelled"
# After these the job cannot be resumed.
_FINAL = (Outcome.FINISHED, Outcome.REFUSED, Outcome.FAILED)


class Controller:
    """Drives one job."""

    def __init__(
        self,
        job: JobRecord,
        machines: Machines,
        stop: StopRequest,
        console: Console,
        skip: bool = False,
    ) -> None:
        """Prepares to drive a job; does nothing yet.

        Args:
          job: the job, whose records exist.
          machines: how its target rents machines.
          stop: a signal ends `drive` at once, except while machines are being rented.
          console: shows the job's output and messages.
          skip: do not show the output that exists already, up to its last lines.
        """
        self._job = job
        self._machines = machines
        self._poll_seconds = float(job.settings["poll_seconds"])
        self._stop = stop
        self._console = console
        self._store = machines.store(job.workdir)
        self._root = f"jobs/{job.id}"
        self._log = LogReader(self._store, console.output, skip)
        self._names: dict[str, int] = {}
        # Records never change.
        self._records: dict[str, str] = {}
        self._shown = ""
        # Whether the last step changed something, so that the next is due at once.
        self._look_again = False
        # When something was first seen in this process, by what it was.
        self._since: dict[str, float] = {}

    def drive(self) -> None:
        """Returns when the job has finished.

        Raises:
          UserError: if the job reports that its input is wrong, or the service refuses a request.
          Interrupted: if the job was cancelled, or a limit was reached.
          JobFailed: if the job failed.
        """
        self._until(self._step, self._job.deadline + _LAST_EFFORT)

    def start(self) -> None:
        """Returns when machines are rented or requested, or the job has ended.

        Raises: as `drive`.
        """
        self._until(self._has_started, self._job.deadline)

    def _has_started(self) -> bool:
        return self._step() or last_attempt(self._names, self._root) > 0

    def _until(self, step: Callable[[], bool], give_up: float) -> None:
        """Calls a step until it returns True; waits in between, longer without contact."""
        delay = self._poll_seconds
        while True:
            try:
                self._look_again = False
                if step():
                    return
                self._since.pop("failing", None)
                delay = 0.0 if self._look_again else self._poll_seconds
            except CommandFailed as error:
                self._check_patience(error, give_up)
                self._note(f"no answer; the job is not affected ({error.message})")
                delay = min(2 * max(delay, self._poll_seconds), max(_MAX_DELAY, self._poll_seconds))
            time.sleep(delay)

    def _check_patience(self, error: CommandFailed, give_up: float) -> None:
        """Gives up if a query has failed for too long. Nothing is deleted."""
        limits = "the job continues until its time limit, when its machines delete themselves"
        if time.time() > give_up:
            raise Interrupted(f"no contact ({error.message}); {limits}") from None
        if error.kind is ErrorKind.OTHER and self._lasts("failing", _LAST_EFFORT):
            failed = command_failed(error.command.argv, error.kind, error.message)
            raise UserError(f"{failed} ({limits})") from None

    def _step(self) -> bool:
        """Looks, and does what is due; returns whether the job is over."""
        self._names = self._store.names(f"{self._root}/")
        if f"{self._root}/end.json" in self._names:
            return self._finish(records.end(self._read("end.json")))
        number = last_attempt(self._names, self._root)
        if number == 0:
            return self._begin(1, 0, "")
        attempt = records.attempt(self._read(f"attempts/{number:04}.json"))
        self._log.show(f"{self._attempt_root(number)}/host-0/", self._names)
        if f"{self._attempt_root(number)}/end.json" in self._names:
            end = records.end(self._read(f"attempts/{number:04}/end.json"))
            return self._after(attempt, end)
        statuses = self._statuses(number)
        if len(statuses) == self._machines.hosts:
            return self._conclude(attempt, statuses, Outcome.INTERRUPTED, "")
        return self._watch(attempt, statuses)

    def _watch(self, attempt: Attempt, statuses: Mapping[int, HostStatus]) -> bool:
        """Decides about an attempt that has not ended."""
        outputs = self._describe(attempt)
        observed = self._machines.observe(outputs)
        self._note(f"{attempt.name}: {observed.text}")
        if observed.refused:
            return self._conclude(attempt, statuses, Outcome.REFUSED, observed.refused)
        if observed.stocked_out:
            return self._conclude(attempt, statuses, Outcome.STOCKED_OUT, observed.text)
        if observed.health is Health.PENDING and not statuses:
            return self._watch_pending(attempt)
        if observed.health is Health.RUNNING:
            self._lasts(f"running {attempt.number}", 0.0)
        looks_over = bool(statuses) or observed.health in (Health.LOST, Health.GONE)
        # After a success of one machine the others may evaluate and write their results.
        has_success = any(one.status == 0 for one in statuses.values())
        grace = _LAST_EFFORT if has_success else _GRACE
        if looks_over and self._lasts(f"over {attempt.number}", grace):
            return self._conclude_lost(attempt, statuses, observed)
        if not looks_over:
            self._since.pop(f"over {attempt.number}", None)
        reason = self._stop_reason()
        if reason and self._lasts(f"stop {attempt.number}", _STOP_TIMEOUT):
            return self._conclude(attempt, statuses, Outcome.INTERRUPTED, reason)
        return False

    def _conclude_lost(
        self, attempt: Attempt, statuses: Mapping[int, HostStatus], observed: Observed
    ) -> bool:
        has_run = (
            f"{self._attempt_root(attempt.number)}/host-0/machine" in self._names
            or f"running {attempt.number}" in self._since
            # A custom job fails for reasons of its own, too.
            or self._machines.in_container
        )
        # Machines that vanish before they run cost nothing, and are no reason to give up.
        outcome = Outcome.INTERRUPTED if has_run else Outcome.STOCKED_OUT
        message = f"the machines were preempted or lost ({observed.text})"
        return self._conclude(attempt, statuses, outcome, message)

    def _watch_pending(self, attempt: Attempt) -> bool:
        """Decides about an attempt whose machines are not there yet."""
        if reason := self._stop_reason():
            return self._conclude(attempt, {}, Outcome.INTERRUPTED, reason)
        if len(self._machines.places) > 1 and self._lasts(
            f"pending {attempt.number}", _PLACE_PATIENCE
        ):
            message = f"still waiting in {attempt.place}"
            return self._conclude(attempt, {}, Outcome.STOCKED_OUT, message)
        return False

    def _stop_reason(self) -> str:
        """Why the job has to stop; writes the record that asks for it at the deadline."""
        is_cancelled = f"{self._root}/cancel" in self._names
        if time.time() > self._job.deadline:
            if not is_cancelled:
                self._store.write(f"{self._root}/cancel", "the time limit is over\n")
            return f"stopped after --max_hours={self._job.max_hours:g}"
        return _CANCELLED if is_cancelled else ""

    def _conclude(
        self,
        attempt: Attempt,
        statuses: Mapping[int, HostStatus],
        outcome: Outcome,
        message: str,
    ) -> bool:
        """Deletes the machines of an attempt that is over, then records its end.

        Args:
          attempt: the attempt.
          statuses: of the machines that have reported one.
          outcome: how it ended if no machine has reported.
          message: why, in that case.
        """
        if statuses:
            outcome = records.outcome_of(statuses, self._machines.hosts)
            message = "; ".join({one.reason for one in statuses.values() if one.reason})
            self._show_other_host(attempt.number, statuses)
        self._delete(attempt, outcome)
        now = time.time()
        billed_from = self._since.get(f"running {attempt.number}", attempt.created)
        end = End(outcome, message, now, billed_seconds=now - billed_from)
        self._store.create(f"{self._attempt_root(attempt.number)}/end.json", records.to_json(end))
        self._look_again = True
        return False

    def _after(self, attempt: Attempt, end: End) -> bool:
        """What follows the end of an attempt: the end of the job, or another attempt."""
        if end.outcome in _FINAL:
            return self._end_job(end.outcome, end.message)
        if reason := self._stop_reason():
            outcome = Outcome.CANCELLED if reason == _CANCELLED else Outcome.GAVE_UP
            return self._end_job(outcome, reason)
        if end.outcome is Outcome.STOCKED_OUT:
            if self._waits_for_capacity(attempt, end):
                return False
            return self._begin(attempt.number + 1, attempt.restarts, attempt.progress)
        progress = self._progress()
        restarts = attempt.restarts + 1 if progress == attempt.progress else 1
        if restarts > self._job.max_restarts:
            return self._end_job(
                Outcome.GAVE_UP,
                f"{end.message}; {self._job.max_restarts} restarts without progress "
                "(--max_restarts)",
            )
        self._console.note(f"{end.message}; renting again, the job resumes")
        return self._begin(attempt.number + 1, restarts, progress)

    def _waits_for_capacity(self, attempt: Attempt, end: End) -> bool:
        """Whether it is too early for another attempt: after a round of all places, ever longer."""
        rounds, rest = divmod(attempt.number, len(self._machines.places))
        if rest:
            return False
        delay = min(_STOCK_OUT_DELAY * 2 ** min(rounds - 1, 10), _MAX_DELAY)
        if time.time() >= end.time + delay:
            return False
        self._note(f"no capacity ({end.message}); trying again after {delay:.0f} s")
        return True

    def _begin(self, number: int, restarts: int, progress: str) -> bool:
        """Rents machines for another attempt, unless another process is doing so."""
        job = self._job
        if self._stop_reason():
            return self._end_job(Outcome.CANCELLED, _CANCELLED)
        max_seconds = affordable_seconds(job, self._machines) - self._billed_seconds()
        if max_seconds <= 0:
            return self._end_job(Outcome.GAVE_UP, f"stopped at --max_cost={job.max_cost:g}")
        attempt = new_attempt(job, self._machines, number, max_seconds, restarts, progress)
        command = self._machines.create(job, attempt)
        # A signal must not separate the record from the machines.
        with self._stop.deferred():
            path = f"{self._attempt_root(number)}.json"
            if not self._store.create(path, records.to_json(attempt)):
                return False
            self._console.note(f"$ {shlex.join(command.argv)}")
            try:
                commands.run(command, self._machines.errors)
            except CommandFailed as error:
                return self._creation_failed(attempt, error)
            # For `start`; the next step sees it in the work directory.
            self._names[path] = 1
        return False

    def _creation_failed(self, attempt: Attempt, error: CommandFailed) -> bool:
        # A request may have created something although it failed. Unless the reason is clear,
        # the next step looks.
        if error.kind in (ErrorKind.EXISTS, ErrorKind.NO_CONTACT):
            self._console.note(error.message)
            return False
        self._names = self._store.names(f"{self._root}/")
        if error.kind is ErrorKind.STOCK_OUT:
            return self._conclude(attempt, {}, Outcome.STOCKED_OUT, error.message)
        failed = command_failed(error.command.argv, error.kind, error.message)
        return self._conclude(attempt, {}, Outcome.REFUSED, str(failed))

    def _billed_seconds(self) -> float:
        """About how long the machines of earlier attempts have cost money."""
        total = 0.0
        if self._job.max_cost:
            for number in range(1, last_attempt(self._names, self._root) + 1):
                if f"{self._attempt_root(number)}/end.json" in self._names:
                    end = records.end(self._read(f"attempts/{number:04}/end.json"))
                    total += 0.0 if end.outcome is Outcome.STOCKED_OUT else end.billed_seconds
        return total

    def _end_job(self, outcome: Outcome, message: str) -> bool:
        end = End(outcome, message, time.time())
        self._store.create(f"{self._root}/end.json", records.to_json(end))
        return self._finish(records.end(self._read("end.json")))

    def _finish(self, end: End) -> bool:
        """Turns the end of the job into an exit status."""
        name = self._job.id
        if end.outcome is Outcome.REFUSED:
            reason = end.message or "fix the error shown above"
            raise UserError(f"the job {name} was refused: {reason}")
        if end.outcome is Outcome.FAILED:
            raise JobFailed(f"the job {name} failed; see its output: {self._job.folder}")
        if end.outcome is not Outcome.FINISHED:
            raise Interrupted(f"the job {name} ended: {end.message or end.outcome.value}")
        return True

    def _statuses(self, number: int) -> dict[int, HostStatus]:
        """What the machines of an attempt have reported, by their numbers."""
        found = {}
        for host in range(self._machines.hosts):
            name = f"attempts/{number:04}/host-{host}/status.json"
            if f"{self._root}/{name}" in self._names:
                found[host] = records.host_status(self._read(name))
        return found

    def _show_other_host(self, number: int, statuses: Mapping[int, HostStatus]) -> None:
        """Prints the end of the log of a machine that has failed, if it is not the one shown."""
        for host, one in statuses.items():
            if host and one.status not in (0, 75):
                self._console.note(f"the last lines of host {host}:")
                self._log.tail(f"{self._attempt_root(number)}/host-{host}/", self._names)
                return

    def _describe(self, attempt: Attempt) -> list[str]:
        """The outputs of the target's queries; "" for what does not exist."""
        outputs: list[str] = []
        for command in self._machines.describe(attempt):
            output = ""
            # A node is only asked for once there is a queued resource.
            if all(outputs):
                try:
                    output = commands.run(command, self._machines.errors)
                except CommandFailed as error:
                    if error.kind is not ErrorKind.NOT_FOUND:
                        raise
            outputs.append(output.strip())
        return outputs

    def _delete(self, attempt: Attempt, outcome: Outcome) -> None:
        """Deletes the machines of an attempt.

        Raises:
          CommandFailed: if that does not work; the next step tries again.
        """
        if self._job.keep and outcome in _FINAL and not self._machines.in_container:
            limit = f"--max_hours={self._job.max_hours:g}"
            self._console.note(f"{attempt.name} is kept and billed until {limit}")
            return
        for command in self._machines.delete(attempt, self._describe(attempt)):
            self._console.note(f"$ {command}")
            try:
                commands.run(command, self._machines.errors)
            except CommandFailed as error:
                if error.kind is not ErrorKind.NOT_FOUND:
                    raise

    def _progress(self) -> str:
        """A digest of the checkpoints and results in the work directory."""
        names = self._store.names("")
        kept = sorted(name for name in names if "checkpoints/" in name or "result.json" in name)
        kept = [name for name in kept if not name.startswith("jobs/")]
        return hashlib.sha256("\n".join(kept).encode()).hexdigest()[:16] if kept else ""

    def _lasts(self, what: str, seconds: float) -> bool:
        """Whether something has been seen for so long in this process."""
        return time.time() - self._since.setdefault(what, time.time()) >= seconds

    def _read(self, name: str) -> str:
        text = self._records.get(name) or self._store.read(f"{self._root}/{name}")
        if text is None:
            raise UserError(f"{self._job.folder}/{name} has been removed; submit the job again")
        self._records[name] = text
        return text

    def _attempt_root(self, number: int) -> str:
        return f"{self._root}/attempts/{number:04}"

    def _note(self, line: str) -> None:
        """Prints a message unless it is the same as the last one."""
        if line != self._shown:
            self._shown = line
            self._console.note(line)
