"""A submission as data: command lines in order, which can be printed as a shell script."""

import dataclasses
import enum
import shlex
from collections.abc import Callable, Sequence

from trainer.cloud.command_errors import ErrorPatterns

# In `argv`, stands for the identifier that the service assigned and `create` printed.
IDENTIFIER = "$JOB"
# Exit status of ssh when the connection cannot be made or breaks.
CONNECTION_LOST = 255


@dataclasses.dataclass(frozen=True)
class Command:
    """One command line; `text` is its standard input."""

    argv: tuple[str, ...]
    text: str = ""

    def __str__(self) -> str:
        """The command for a POSIX shell, in which `$JOB` is a variable."""
        words = " ".join(
            '"$JOB"' if word == IDENTIFIER else shlex.quote(word) for word in self.argv
        )
        return f"printf %s {shlex.quote(self.text)} | {words}" if self.text else words

    def identified(self, identifier: str) -> "Command":
        """The command with the identifier inserted."""
        words = (identifier if word == IDENTIFIER else word for word in self.argv)
        return dataclasses.replace(self, argv=tuple(words))


@dataclasses.dataclass(frozen=True)
class Wait:
    """Polls `describe` until the first word of its output is one of `done` or `failed`."""

    describe: Command
    done: tuple[str, ...]
    failed: tuple[str, ...]


class JobStatus(enum.Enum):
    """How a job ended, according to its commands and its machines."""

    FINISHED = "finished"
    PREEMPTED = "preempted"  # create the machines again; the job resumes
    DISCONNECTED = "disconnected"  # the machines still run; connect again
    REFUSED = "refused"  # the job reports that its input is wrong
    CANCELLED = "cancelled"  # by somebody else
    FAILED = "failed"


# From the exit statuses of the job's commands and the output of `describe`.
ClassifyExit = Callable[[Sequence[int], str], JobStatus]


@dataclasses.dataclass(frozen=True)
class Plan:
    """The commands of one submission.

    Attributes:
      name: name of the resources.
      prepare: commands on this machine, before anything is created.
      create: creates the machines or the job; None if there is nothing to create.
      prints_identifier: whether `create` prints the identifier that `$JOB` stands for.
      ready: waits until the machines can be used.
      stage: steps that copy the code or the image; the commands of one step run in parallel.
      job: one command per host, run in parallel; they print the job's output.
      completion: waits for the end of the job, if its commands do not end with it.
      describe: prints the state of the machines, or of the job, once the commands have ended.
      classify_exit: the job's status, from the exit statuses and the state.
      stop: asks the job to save its state and to exit.
      cleanup: deletes what `prepare` created.
      delete: deletes what `create` created.
      errors: how the vendor's program reports errors.
      results: where the results are.
      machines: the names in `create` and `delete`, if `create` may create only some of them.
    """

    name: str
    prepare: tuple[Command, ...]
    create: Command | None
    prints_identifier: bool
    ready: Wait | None
    stage: tuple[tuple[Command, ...], ...]
    job: tuple[Command, ...]
    completion: Wait | None
    describe: Command | None
    classify_exit: ClassifyExit
    stop: tuple[Command, ...]
    cleanup: tuple[Command, ...]
    delete: tuple[Command, ...]
    errors: ErrorPatterns
    results: str
    machines: tuple[str, ...] = ()


def script(plan: Plan, poll_seconds: int, keep: bool) -> str:
    """The plan as a POSIX shell script, without restarts. It exits with the job's status."""
    steps = [str(command) for command in plan.prepare]
    if plan.create is not None:
        steps.append(f'JOB="$({plan.create})"' if plan.prints_identifier else str(plan.create))
    if plan.ready is not None:
        steps.append(_wait(plan.ready, poll_seconds))
    steps += [_parallel(step) for step in plan.stage]
    steps.append(_job(plan, poll_seconds))
    lines = ["{", " &&\n".join(steps), "}; status=$?"]
    lines += [str(command) for command in (*plan.cleanup, *(() if keep else plan.delete))]
    return "\n".join([*lines, '(exit "$status")'])


def _wait(wait: Wait, poll_seconds: int) -> str:
    done, failed = "|".join(wait.done), "|".join(wait.failed)
    return (
        f'{{ while state="$({wait.describe})"; do\n'
        f'  case "${{state%%[[:space:]]*}}" in {done}|{failed}) break;; esac\n'
        f"  sleep {poll_seconds}\n"
        f"done\n"
        f'case "${{state%%[[:space:]]*}}" in {done}) ;; *) false;; esac; }}'
    )


def _job(plan: Plan, poll_seconds: int) -> str:
    if plan.completion is not None:
        (follow,) = plan.job
        return (
            f"{{ {follow} & logs=$!\n"
            f"{_wait(plan.completion, poll_seconds)}\n"
            f'result=$?; sleep {drain_seconds(poll_seconds)}; pkill -P "$logs"; kill "$logs"\n'
            f'[ "$result" = 0 ]; }}'
        )
    return _parallel(plan.job)


def _parallel(commands: Sequence[Command]) -> str:
    if len(commands) == 1:
        return str(commands[0])
    started = "\n".join(f"{command} & pid{n}=$!" for n, command in enumerate(commands))
    ended = " && ".join(f'wait "$pid{n}"' for n in range(len(commands)))
    return f"{{ {started}\n{ended}; }}"


def drain_seconds(poll_seconds: int) -> int:
    """How long the last lines of a log may arrive after the end of the job."""
    # gcloud shows entries five seconds after they were written, once per poll.
    return poll_seconds + 6
