"""A submission as data: which commands, in which order, and as a text for a shell."""

import dataclasses
import enum
import shlex
from collections.abc import Callable, Sequence

# The argument that stands for what `make` printed: an identifier the service gave.
IDENTIFIER = "$JOB"


@dataclasses.dataclass(frozen=True)
class Command:
    """One command line; `text` is its standard input."""

    argv: tuple[str, ...]
    text: str = ""

    def __str__(self) -> str:
        """The command for a POSIX shell; `$JOB` stays a variable."""
        words = " ".join(
            '"$JOB"' if word == IDENTIFIER else shlex.quote(word) for word in self.argv
        )
        return f"printf %s {shlex.quote(self.text)} | {words}" if self.text else words

    def identified(self, identifier: str) -> "Command":
        """The command about a thing that has been made."""
        words = (identifier if word == IDENTIFIER else word for word in self.argv)
        return dataclasses.replace(self, argv=tuple(words))


@dataclasses.dataclass(frozen=True)
class Wait:
    """Look again and again until the first word that `describe` prints is one of these."""

    describe: Command
    done: tuple[str, ...]
    failed: tuple[str, ...]


class End(enum.Enum):
    """How a job ended, as far as its command and its machines tell."""

    FINISHED = "finished"
    PREEMPTED = "preempted"  # start again; the job resumes
    DISCONNECTED = "disconnected"  # the machines are well; look again
    REFUSED = "refused"  # the job says its input is wrong
    CANCELLED = "cancelled"  # by somebody else
    FAILED = "failed"


# From the exit statuses of the job's commands and what `state` printed.
Judge = Callable[[Sequence[int], str], End]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a target does.

    Attributes:
      name: of what is made.
      prepare: here, before anything is made.
      make: makes the machines or the job; None where there is nothing to make.
      has_identifier: `make` prints the identifier that `$JOB` stands for.
      ready: when what was made can be used.
      stage: steps that bring the code or the image there; the commands of a step run together.
      job: run together, one a host; they print the job's output.
      end: when the job is over, where its commands do not end with it.
      state: tells how the machines, or the job, are once the commands have ended.
      judge: reads that.
      stop: asks the job to save and end.
      clear: deletes what `prepare` made.
      delete: deletes what `make` made.
      results: where they are.
      machines: names among the words of `make` and `delete`, where `make` may make some of them
        and be refused others.
    """

    name: str
    prepare: tuple[Command, ...]
    make: Command | None
    has_identifier: bool
    ready: Wait | None
    stage: tuple[tuple[Command, ...], ...]
    job: tuple[Command, ...]
    end: Wait | None
    state: Command | None
    judge: Judge
    stop: tuple[Command, ...]
    clear: tuple[Command, ...]
    delete: tuple[Command, ...]
    results: str
    machines: tuple[str, ...] = ()


def script(plan: Plan, poll_seconds: int, keep: bool) -> str:
    """The plan for a POSIX shell: one start, no restart; its status is the job's."""
    steps = [str(command) for command in plan.prepare]
    if plan.make is not None:
        steps.append(f'JOB="$({plan.make})"' if plan.has_identifier else str(plan.make))
    if plan.ready is not None:
        steps.append(_wait(plan.ready, poll_seconds))
    steps += [_together(step) for step in plan.stage]
    steps.append(_job(plan, poll_seconds))
    lines = ["{", " &&\n".join(steps), "}; status=$?"]
    lines += [str(command) for command in (*plan.clear, *(() if keep else plan.delete))]
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
    if plan.end is not None:
        (follow,) = plan.job
        return (
            f"{{ {follow} & logs=$!\n"
            f"{_wait(plan.end, poll_seconds)}\n"
            f'result=$?; sleep {drain_seconds(poll_seconds)}; pkill -P "$logs"; kill "$logs"\n'
            f'[ "$result" = 0 ]; }}'
        )
    return _together(plan.job)


def _together(commands: Sequence[Command]) -> str:
    if len(commands) == 1:
        return str(commands[0])
    started = "\n".join(f"{command} & pid{n}=$!" for n, command in enumerate(commands))
    ended = " && ".join(f'wait "$pid{n}"' for n in range(len(commands)))
    return f"{{ {started}\n{ended}; }}"


def drain_seconds(poll_seconds: int) -> int:
    """How long the last lines of a log may take to come, once the job is over."""
    # gcloud shows entries five seconds after they were written, once in a poll.
    return poll_seconds + 6
