"""Executes a plan: creates machines, runs the job, restarts it if preempted, deletes everything."""

import dataclasses
import time
from collections.abc import Collection, Sequence

from trainer.cloud.command_errors import command_failed, error_message
from trainer.cloud.console import Console
from trainer.cloud.plan import CONNECTION_LOST, Command, JobStatus, Plan, Wait, drain_seconds
from trainer.cloud.processes import Child
from trainer.engine.preemption import StopRequest
from trainer.errors import Interrupted, UserError

# All times are in seconds. Interval between two checks of the time limit and of signals.
_TICK = 0.2
_MAX_CONNECTION_ATTEMPTS = 10
_MAX_QUERY_ATTEMPTS = 5
_MAX_DELETE_ATTEMPTS = 3
# A connection that lasted this long resets the number of attempts.
_STABLE_CONNECTION = 60.0
# For a job to save its state.
_SAVE_TIMEOUT = 150.0
# For the other hosts to exit after one has failed.
_OTHER_HOSTS_TIMEOUT = 60.0
_DELETE_TIMEOUT = 900.0


class JobFailed(Exception):
    """The job failed with an error of its own, whose traceback is in its output."""


class _Stop(Exception):
    """The user or the time limit stops the submission."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """When to give up.

    Attributes:
      max_restarts: number of restarts after preemptions.
      max_hours: time limit of the submission, waiting included.
      keep: do not delete the machines at the end.
    """

    max_restarts: int
    max_hours: float
    keep: bool


class Runner:
    """Executes one submission."""

    def __init__(
        self, plan: Plan, limits: Limits, poll_seconds: int, stop: StopRequest, console: Console
    ) -> None:
        self._plan = plan
        self._limits = limits
        self._poll_seconds = poll_seconds
        self._stop = stop
        self._console = console
        self._deadline = time.monotonic() + 3600 * limits.max_hours
        self._identifier = ""

    def run(self) -> None:
        """Runs the job until it has finished.

        Raises:
          UserError: if a command fails, or the job reports that its input is wrong.
          Interrupted: on a signal, at the time limit, or after the last restart.
          JobFailed: if the job fails, or something cannot be deleted.
        """
        for restart in range(self._limits.max_restarts + 1):
            if restart:
                self._console.note(
                    f"preempted; restarting ({restart} of {self._limits.max_restarts})"
                )
            status = self._attempt()
            if status is JobStatus.FINISHED:
                return
            if status is JobStatus.REFUSED:
                raise UserError(
                    f"the job {self._plan.name} refused its input; fix the error shown above"
                )
            if status is JobStatus.FAILED:
                raise JobFailed(f"the job {self._plan.name} failed; see its output above")
            if status is JobStatus.CANCELLED:
                raise Interrupted("the job was stopped")
        raise Interrupted(f"preempted after --max_restarts={self._limits.max_restarts} restarts")

    def _attempt(self) -> JobStatus:
        status = None
        delete: tuple[Command, ...] = ()
        try:
            for command in self._plan.prepare:
                self._run_all(command)
            delete = self._plan.delete
            self._create()
            ready = self._plan.ready is None or self._wait_until_ready(self._plan.ready)
            status = self._follow() if ready and self._stage() else JobStatus.PREEMPTED
            return status
        except _AlreadyExists as error:
            delete = self._delete_only(error.created)
            raise UserError(str(error)) from None
        except _Stop as reason:
            raise Interrupted(str(reason)) from None
        finally:
            # A restart creates everything again, so --keep applies only to the last attempt.
            keep = self._limits.keep and status is not JobStatus.PREEMPTED
            self._clean_up(delete, keep)

    def _create(self) -> None:
        create = self._plan.create
        if create is None:
            return
        self._console.note(f"$ {create}")
        prints_identifier = self._plan.prints_identifier
        show = None if prints_identifier else self._console.note
        child = Child(create, show, self._console.note)
        # Do not interrupt a command whose output is needed to delete what it created.
        status = child.wait(_DELETE_TIMEOUT) if prints_identifier else self._wait_for_exit(child)
        child.terminate()
        if status != 0:
            error = error_message(child.errors)
            if self._plan.errors.exists.search(error):
                delete = " ".join(map(str, self._plan.delete))
                raise _AlreadyExists(
                    f"this job is already running, or was kept ({error}); wait for it, or delete "
                    f"it with: {delete}",
                    self._plan.errors.created_names(child.errors),
                )
            raise self._failure(create, error)
        self._identifier = child.output[-1].strip() if prints_identifier else ""

    def _delete_only(self, created: Collection[str]) -> tuple[Command, ...]:
        """The commands that delete only these machines; none if there are none."""
        others = {machine for machine in self._plan.machines if machine not in created}
        if len(others) == len(self._plan.machines):
            return ()
        return tuple(
            dataclasses.replace(
                command, argv=tuple(word for word in command.argv if word not in others)
            )
            for command in self._plan.delete
        )

    def _wait_until_ready(self, wait: Wait) -> bool:
        state = self._wait(wait)
        if state.split()[:1] == [*wait.done]:
            return True
        if self._plan.errors.quota.search(state):
            raise self._failure(wait.describe, state)
        self._console.note(f"{self._plan.name}: {state}")
        return False

    def _stage(self) -> bool:
        """Copies code or image to the machines; returns False if they were preempted meanwhile."""
        try:
            for step in self._plan.stage:
                self._run_all(*step)
        except UserError:
            describe = self._plan.describe
            state = "" if describe is None else self._query(describe)
            if self._plan.classify_exit([1], state) is not JobStatus.PREEMPTED:
                raise
            return False
        return True

    def _wait(self, wait: Wait) -> str:
        """The final output of `describe`; empty if the resource no longer exists."""
        shown = None
        while True:
            state = self._query(wait.describe)
            if state != shown:
                self._console.note(f"{self._plan.name}: {state or 'deleted'}")
                shown = state
            if not state or state.split()[0] in (*wait.done, *wait.failed):
                return state
            self._pause(self._poll_seconds)

    def _query(self, describe: Command) -> str:
        """The output of `describe`; empty if the resource does not exist."""
        for _ in range(_MAX_QUERY_ATTEMPTS):
            child = Child(describe.identified(self._identifier), None, None)
            if self._wait_for_exit(child) == 0:
                return " ".join(child.output).strip()
            error = error_message(child.errors)
            if self._plan.errors.not_found.search(error):
                return ""
            self._console.note(error)
            self._pause(self._poll_seconds)
        raise self._failure(describe, error)

    def _follow(self) -> JobStatus:
        """Prints the job's output until it ends; reconnects if the connection breaks."""
        plan = self._plan
        failures = 0
        while True:
            started = time.monotonic()
            commands = [command.identified(self._identifier) for command in plan.job]
            for command in commands:
                self._console.note(f"$ {command}")
            children = [Child(c, self._console.output, self._console.note) for c in commands]
            try:
                self._check()
                if plan.completion is not None:
                    self._wait(plan.completion)
                    self._pause(drain_seconds(self._poll_seconds))
                    statuses = [0]
                else:
                    statuses = self._wait_for_hosts(children)
                # After a success the state of the machines does not matter.
                is_needed = plan.completion is not None or any(statuses)
                state = self._query(plan.describe) if plan.describe and is_needed else ""
            except BaseException as error:
                # A managed job continues unless it is cancelled; machines are deleted anyway.
                if plan.prints_identifier or isinstance(error, _Stop):
                    self._ask_to_stop(children)
                raise
            finally:
                for child in children:
                    child.terminate()
            status = plan.classify_exit(statuses, state)
            if status is not JobStatus.DISCONNECTED:
                return status
            lasted = time.monotonic() - started
            failures = failures + 1 if lasted < _STABLE_CONNECTION else 1
            if failures == _MAX_CONNECTION_ATTEMPTS:
                raise self._failure(commands[0], error_message(children[0].errors))
            self._console.note("the connection broke, but the machine is running; reconnecting")
            self._pause(self._poll_seconds)

    def _wait_for_hosts(self, children: Sequence[Child]) -> list[int]:
        """Exit statuses; if one host fails, the others have a minute to exit too."""
        statuses: dict[int, int] = {}
        give_up = float("inf")
        while len(statuses) < len(children) and time.monotonic() < give_up:
            for number, child in enumerate(children):
                if number not in statuses:
                    status = child.wait(_TICK)
                    if status is not None:
                        statuses[number] = status
                        if status:
                            give_up = min(give_up, time.monotonic() + _OTHER_HOSTS_TIMEOUT)
            self._check()
        return [statuses[number] for number in sorted(statuses)]

    def _ask_to_stop(self, children: Sequence[Child]) -> None:
        self._console.note("asking the job to save its state and exit")
        stops = [command.identified(self._identifier) for command in self._plan.stop]
        for command in stops:
            self._console.note(f"$ {command}")
        stopping = [Child(command, self._console.note, self._console.note) for command in stops]
        give_up = time.monotonic() + _SAVE_TIMEOUT
        delivered = [child.wait(max(0.0, give_up - time.monotonic())) == 0 for child in stopping]
        for child in stopping:
            child.terminate()
        if all(delivered) and self._plan.completion is None:
            for child in children:
                child.wait(max(0.0, give_up - time.monotonic()))

    def _clean_up(self, delete: Sequence[Command], keep: bool) -> None:
        left = []
        for command in (*self._plan.cleanup, *(() if keep else delete)):
            if not self._deleted(command):
                left.append(str(command))
        if keep and delete:
            self._console.note("kept and billed until you run: " + "; ".join(map(str, delete)))
        if left:
            raise JobFailed(f"could not be deleted and may be billed; run: {'; '.join(left)}")

    def _deleted(self, command: Command) -> bool:
        self._console.note(f"$ {command}")
        for _ in range(_MAX_DELETE_ATTEMPTS):
            child = Child(command, None, None)
            status = child.wait(_DELETE_TIMEOUT)
            error = error_message(child.errors)
            if status == 0 or self._plan.errors.not_found.search(error):
                return True
            child.terminate()
            self._console.note(error)
            time.sleep(self._poll_seconds)
        return False

    def _run_all(self, *commands: Command) -> None:
        """Runs commands in parallel and requires success; repeats those that cannot connect."""
        pending = list(commands)
        for attempt in range(_MAX_CONNECTION_ATTEMPTS):
            if attempt:
                self._console.note("no connection yet; retrying")
                self._pause(self._poll_seconds)
            for command in pending:
                self._console.note(f"$ {command}")
            children = [Child(c, self._console.note, self._console.note) for c in pending]
            try:
                statuses = [self._wait_for_exit(child) for child in children]
            finally:
                for child in children:
                    child.terminate()
            failed = [number for number, status in enumerate(statuses) if status]
            if not failed:
                return
            failure = self._failure(pending[failed[0]], error_message(children[failed[0]].errors))
            if {statuses[number] for number in failed} != {CONNECTION_LOST}:
                raise failure
            pending = [pending[number] for number in failed]
        raise failure

    def _wait_for_exit(self, child: Child) -> int:
        try:
            while True:
                self._check()
                status = child.wait(_TICK)
                if status is not None:
                    return status
        except _Stop:
            child.terminate()
            raise

    def _failure(self, command: Command, error: str) -> UserError:
        return command_failed(command.argv, error, self._plan.errors)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._check()
            time.sleep(_TICK)

    def _check(self) -> None:
        if self._stop.requested:
            raise _Stop("stopped")
        if time.monotonic() > self._deadline:
            raise _Stop(f"stopped after --max_hours={self._limits.max_hours:g}")


class _AlreadyExists(Exception):
    """The resources exist already; only those `created` by this attempt may be deleted."""

    def __init__(self, message: str, created: Collection[str]) -> None:
        super().__init__(message)
        self.created = created
