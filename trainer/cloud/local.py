"""Runs the command lines of a local plan: a container here, or a request to another scheduler."""

import shlex
import time

from trainer.cloud.command_errors import ErrorKind, command_failed, error_message
from trainer.cloud.commands import Command
from trainer.cloud.console import Console
from trainer.cloud.processes import Child
from trainer.cloud.records import JobFailed
from trainer.cloud.target import LocalPlan
from trainer.engine.preemption import StopRequest
from trainer.errors import EXIT_INTERRUPTED, EXIT_USER_ERROR, Interrupted, UserError

_TICK_SECONDS = 0.2
# For a job to save its state.
_SAVE_SECONDS = 150.0


def script(plan: LocalPlan) -> str:
    """The plan as a POSIX shell script."""
    return " &&\n".join(map(str, (*plan.prepare, plan.run)))


def run(plan: LocalPlan, deadline: float, stop: StopRequest, console: Console) -> None:
    """Runs a plan and shows the output of its job.

    Args:
      plan: what to run.
      deadline: when to stop the job, in seconds of `time.monotonic`.
      stop: a signal stops the job.
      console: shows the output.

    Raises:
      UserError: if a command fails before the job starts, or the job refuses its input.
      Interrupted: if the job was stopped.
      JobFailed: if the job failed with an error of its own.
    """
    for command in plan.prepare:
        status, error = _run(command, console)
        if status != 0:
            raise command_failed(command.argv, ErrorKind.OTHER, error)
    console.note(f"$ {plan.run}")
    child = Child(plan.run.argv, plan.run.text, console.output, console.note)
    asked = 0.0
    while (status_or_none := child.wait(_TICK_SECONDS)) is None:
        now = time.monotonic()
        if not asked and (stop.requested or now > deadline):
            asked = now
            console.note("asking the job to save its state and exit")
            for command in plan.stop:
                _run(command, console)
        if asked and now > asked + _SAVE_SECONDS:
            child.terminate()
    if status_or_none == 0:
        return
    if status_or_none == EXIT_INTERRUPTED or asked:
        raise Interrupted("the job was stopped")
    if status_or_none == EXIT_USER_ERROR or status_or_none in plan.not_started:
        words = shlex.join(plan.run.argv[:2])
        raise UserError(f"{words} could not run the job; fix the error shown above")
    raise JobFailed("the job failed; see its output above")


def _run(command: Command, console: Console) -> tuple[int, str]:
    console.note(f"$ {command}")
    child = Child(command.argv, command.text, console.note, console.note)
    status = child.wait(_SAVE_SECONDS)
    child.terminate()
    return (1, "no answer") if status is None else (status, error_message(child.errors))
