"""Follows a job from this computer; what Ctrl-C means for it."""

from trainer.cloud import jobs
from trainer.cloud.command_errors import command_failed
from trainer.cloud.commands import CommandFailed
from trainer.cloud.console import Console
from trainer.cloud.controller import Controller
from trainer.cloud.records import JobRecord
from trainer.cloud.target import Machines
from trainer.engine.preemption import StopRequest
from trainer.errors import Interrupted


def follow(
    job: JobRecord,
    machines: Machines,
    *,
    detach: bool,
    cancel_on_interrupt: bool,
    skip: bool,
    stop: StopRequest,
    console: Console,
) -> None:
    """Drives a job to its end and shows its output.

    Args:
      job: the job.
      machines: how its target rents machines.
      detach: return once the machines are requested.
      cancel_on_interrupt: cancel the job on a signal, and wait for its end.
      skip: do not show the output that exists already, up to its last lines.
      stop: a signal leaves the job running, or cancels it.
      console: shows the output.

    Raises:
      Interrupted: on a signal, or if the job did not finish.
      UserError, JobFailed: as `Controller.drive`.
    """
    controller = Controller(job, machines, stop, console, skip)
    try:
        with stop.at_once(
            f"left {job.id} running; stop it with: trainer jobs cancel {job.workdir}"
        ):
            if detach:
                controller.start()
                console.note(
                    f"follow it with: trainer jobs attach {job.workdir}\nwhile nothing follows it, "
                    "a preempted job is not restarted"
                )
            else:
                controller.drive()
    except Interrupted:
        if not (cancel_on_interrupt and stop.requested):
            raise
    else:
        return
    console.note("cancelling the job, which saves its state; the next signal leaves it running")
    with StopRequest() as again:
        cancel(job, machines, again, console)


def cancel(job: JobRecord, machines: Machines, stop: StopRequest, console: Console) -> None:
    """Asks a job to save its state, waits until it has ended and deletes its machines.

    Raises:
      Interrupted: when the job has ended, unless it had finished already.
    """
    with stop.at_once(
        f"{job.id} has been asked to stop; wait with: trainer jobs attach {job.workdir}"
    ):
        try:
            jobs.cancel(machines.store(job.workdir), job)
        except CommandFailed as error:
            raise command_failed(error.command.argv, error.kind, error.message) from None
        Controller(job, machines, stop, console, skip=True).drive()
