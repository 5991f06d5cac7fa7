"""Executes a plan: makes, stages, follows the job, starts again, deletes whatever happens."""

import dataclasses
import time
from collections.abc import Collection, Sequence

from trainer.cloud.command_errors import (
    message,
    names_made,
    refused,
    says_it_exists,
    says_it_is_gone,
    says_no_quota,
)
from trainer.cloud.console import Screen
from trainer.cloud.google.virtual_machine import CONNECTION_LOST
from trainer.cloud.plan import Command, End, Plan, Wait, drain_seconds
from trainer.cloud.processes import Child
from trainer.engine.preemption import StopRequest
from trainer.errors import Interrupted, UserError

# How often the clock and the signals are looked at, seconds.
_TICK = 0.2
_CONNECTIONS_TRIED = 10
_LOOKS_TRIED = 5
_DELETIONS_TRIED = 3
# A connection that held so long was a good one, seconds.
_GOOD_CONNECTION = 60.0
# For a job to save its state, and for a host to follow another that has ended, seconds.
_TIME_TO_SAVE = 150.0
_TIME_TO_FOLLOW = 60.0
_TIME_TO_DELETE = 900.0


class JobFailed(Exception):
    """The job ended with a fault of its own, whose traceback is in its output."""


class _Stop(Exception):
    """The user, or the time limit, ends the submission."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """How long to go on.

    Attributes:
      max_restarts: after preemptions.
      max_hours: of the whole submission, waiting included.
      keep: leave what was made, at the end.
    """

    max_restarts: int
    max_hours: float
    keep: bool


class Runner:
    """One submission."""

    def __init__(
        self, plan: Plan, limits: Limits, poll_seconds: int, stop: StopRequest, screen: Screen
    ) -> None:
        self._plan = plan
        self._limits = limits
        self._poll_seconds = poll_seconds
        self._stop = stop
        self._screen = screen
        self._deadline = time.monotonic() + 3600 * limits.max_hours
        self._identifier = ""

    def run(self) -> None:
        """Returns once the job has finished.

        Raises:
          UserError: if a command is refused, or the job refuses its input.
          Interrupted: on a signal, at the time limit, or after the last restart.
          JobFailed: if the job failed, or something could not be deleted.
        """
        for restart in range(self._limits.max_restarts + 1):
            if restart:
                self._screen.note(
                    f"preempted; starting again ({restart} of {self._limits.max_restarts})"
                )
            end = self._attempt()
            if end is End.FINISHED:
                return
            if end is End.REFUSED:
                raise UserError(
                    "the job refused its input; the line above says why: mend that. "
                    f"Received: {self._plan.name}"
                )
            if end is End.FAILED:
                raise JobFailed(f"the job {self._plan.name} failed; its last lines are above")
            if end is End.CANCELLED:
                raise Interrupted("the job was stopped")
        raise Interrupted(f"preempted, and --max_restarts={self._limits.max_restarts} is used up")

    def _attempt(self) -> End:
        end = None
        delete: tuple[Command, ...] = ()
        try:
            for command in self._plan.prepare:
                self._must(command)
            delete = self._plan.delete
            self._make()
            ready = self._plan.ready is None or self._wait_until_ready(self._plan.ready)
            end = self._follow() if ready and self._stage() else End.PREEMPTED
            return end
        except _AlreadyExists as error:
            delete = self._delete_only(error.made)
            raise UserError(str(error)) from None
        except _Stop as reason:
            raise Interrupted(str(reason)) from None
        finally:
            # A restart makes everything anew, whatever is to be kept in the end.
            keep = self._limits.keep and end is not End.PREEMPTED
            self._clean_up(delete, keep)

    def _make(self) -> None:
        make = self._plan.make
        if make is None:
            return
        self._screen.note(f"$ {make}")
        show = None if self._plan.has_identifier else self._screen.note
        child = Child(make, show, self._screen.note)
        # Where only its answer tells what was made, the answer is waited for.
        status = child.wait(_TIME_TO_DELETE) if self._plan.has_identifier else self._end_of(child)
        child.end()
        if status != 0:
            said = message(child.errors)
            if says_it_exists(said):
                delete = " ".join(map(str, self._plan.delete))
                raise _AlreadyExists(
                    f"this job already runs, or was kept; wait for it, or delete it with: {delete} "
                    f"Received: {said}",
                    names_made(child.errors),
                )
            raise refused(make, said)
        self._identifier = child.output[-1].strip() if self._plan.has_identifier else ""

    def _delete_only(self, made: Collection[str]) -> tuple[Command, ...]:
        """`delete` for those machines alone; nothing for none."""
        others = {machine for machine in self._plan.machines if machine not in made}
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
        if says_no_quota(state):
            raise refused(wait.describe, state)
        self._screen.note(f"{self._plan.name}: {state}")
        return False

    def _stage(self) -> bool:
        """Whether everything is there; not if the machines were taken away meanwhile."""
        try:
            for step in self._plan.stage:
                self._must(*step)
        except UserError:
            state = "" if self._plan.state is None else self._look(self._plan.state)
            if self._plan.judge([1], state) is not End.PREEMPTED:
                raise
            return False
        return True

    def _wait(self, wait: Wait) -> str:
        """What `describe` printed when it was over; empty if the thing is gone."""
        shown = None
        while True:
            state = self._look(wait.describe)
            if state != shown:
                self._screen.note(f"{self._plan.name}: {state or 'gone'}")
                shown = state
            if not state or state.split()[0] in (*wait.done, *wait.failed):
                return state
            self._pause(self._poll_seconds)

    def _look(self, describe: Command) -> str:
        """What it prints; empty if the thing is gone."""
        for _ in range(_LOOKS_TRIED):
            child = Child(describe.identified(self._identifier), None, None)
            if self._end_of(child) == 0:
                return " ".join(child.output).strip()
            said = message(child.errors)
            if says_it_is_gone(said):
                return ""
            self._screen.note(said)
            self._pause(self._poll_seconds)
        raise refused(describe, said)

    def _follow(self) -> End:
        """Shows the job's output until it ends; a lost connection is made again."""
        plan = self._plan
        failures = 0
        while True:
            started = time.monotonic()
            commands = [command.identified(self._identifier) for command in plan.job]
            for command in commands:
                self._screen.note(f"$ {command}")
            children = [Child(c, self._screen.output, self._screen.note) for c in commands]
            try:
                self._check()
                if plan.end is not None:
                    self._wait(plan.end)
                    self._pause(drain_seconds(self._poll_seconds))
                    statuses = [0]
                else:
                    statuses = self._end_of_all(children)
                # A job that ended well needs no look at its machines.
                look = plan.state if plan.end is not None or any(statuses) else None
                state = self._look(look) if look is not None else ""
            except BaseException as error:
                # A service's own job goes on unless it is told; a machine is deleted anyway.
                if plan.has_identifier or isinstance(error, _Stop):
                    self._ask_to_stop(children)
                raise
            finally:
                for child in children:
                    child.end()
            end = plan.judge(statuses, state)
            if end is not End.DISCONNECTED:
                return end
            lasted = time.monotonic() - started
            failures = failures + 1 if lasted < _GOOD_CONNECTION else 1
            if failures == _CONNECTIONS_TRIED:
                raise refused(commands[0], message(children[0].errors))
            self._screen.note("the connection broke; the machine is well; connecting again")
            self._pause(self._poll_seconds)

    def _end_of_all(self, children: Sequence[Child]) -> list[int]:
        statuses: dict[int, int] = {}
        give_up = float("inf")
        while len(statuses) < len(children) and time.monotonic() < give_up:
            for number, child in enumerate(children):
                if number not in statuses:
                    status = child.wait(_TICK)
                    if status is not None:
                        statuses[number] = status
                        if status:
                            give_up = min(give_up, time.monotonic() + _TIME_TO_FOLLOW)
            self._check()
        return [statuses[number] for number in sorted(statuses)]

    def _ask_to_stop(self, children: Sequence[Child]) -> None:
        self._screen.note("asking the job to save and end")
        stops = [command.identified(self._identifier) for command in self._plan.stop]
        for command in stops:
            self._screen.note(f"$ {command}")
        stopping = [Child(command, self._screen.note, self._screen.note) for command in stops]
        give_up = time.monotonic() + _TIME_TO_SAVE
        heard = [child.wait(max(0.0, give_up - time.monotonic())) == 0 for child in stopping]
        for child in stopping:
            child.end()
        if all(heard) and self._plan.end is None:
            for child in children:
                child.wait(max(0.0, give_up - time.monotonic()))

    def _clean_up(self, delete: Sequence[Command], keep: bool) -> None:
        left = []
        for command in (*self._plan.clear, *(() if keep else delete)):
            if not self._deleted(command):
                left.append(str(command))
        if keep and delete:
            self._screen.note("kept, and paid for, until: " + "; ".join(map(str, delete)))
        if left:
            raise JobFailed(f"not deleted, and perhaps paid for; run: {'; '.join(left)}")

    def _deleted(self, command: Command) -> bool:
        self._screen.note(f"$ {command}")
        for _ in range(_DELETIONS_TRIED):
            child = Child(command, None, None)
            status = child.wait(_TIME_TO_DELETE)
            said = message(child.errors)
            if status == 0 or says_it_is_gone(said):
                return True
            child.end()
            self._screen.note(said)
            time.sleep(self._poll_seconds)
        return False

    def _must(self, *commands: Command) -> None:
        """Runs commands together that have to succeed; over ssh they may need several tries."""
        pending = list(commands)
        for attempt in range(_CONNECTIONS_TRIED):
            if attempt:
                self._screen.note("no connection yet; trying again")
                self._pause(self._poll_seconds)
            for command in pending:
                self._screen.note(f"$ {command}")
            children = [Child(c, self._screen.note, self._screen.note) for c in pending]
            try:
                statuses = [self._end_of(child) for child in children]
            finally:
                for child in children:
                    child.end()
            failed = [number for number, status in enumerate(statuses) if status]
            if not failed:
                return
            refusal = refused(pending[failed[0]], message(children[failed[0]].errors))
            if {statuses[number] for number in failed} != {CONNECTION_LOST}:
                raise refusal
            pending = [pending[number] for number in failed]
        raise refusal

    def _end_of(self, child: Child) -> int:
        try:
            while True:
                self._check()
                status = child.wait(_TICK)
                if status is not None:
                    return status
        except _Stop:
            child.end()
            raise

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
    """What was to be made is there, and is not ours to delete, but for `made` of this attempt."""

    def __init__(self, message: str, made: Collection[str]) -> None:
        super().__init__(message)
        self.made = made
