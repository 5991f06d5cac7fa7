"""What a target of `trainer submit` has to define."""

import dataclasses
import enum
from collections.abc import Callable, Sequence
from typing import Any

from trainer.cloud.command_errors import ErrorPatterns
from trainer.cloud.commands import Command
from trainer.cloud.job import Job
from trainer.cloud.listing import Query
from trainer.cloud.records import Attempt, JobRecord
from trainer.cloud.settings import Settings
from trainer.cloud.store import Store


class Health(enum.Enum):
    """What the service says about the machines of an attempt."""

    GONE = "deleted"
    PENDING = "waiting"
    RUNNING = "running"
    LOST = "lost"


@dataclasses.dataclass(frozen=True)
class Observed:
    """The state of the machines of an attempt.

    Attributes:
      health: what it means.
      text: the service's words, for the user.
      stocked_out: whether they were lost because the place has no capacity.
      refused: why the service can never run the job, such as a missing image; empty if it may.
    """

    health: Health
    text: str
    stocked_out: bool = False
    refused: str = ""


@dataclasses.dataclass(frozen=True)
class Machines:
    """How a target rents machines. Every function returns command lines and runs nothing.

    Attributes:
      kind: the target's name.
      accelerator: gpu or tpu: which locked packages the machines install.
      in_container: whether the service runs the image itself.
      strategy_flags: the strategy of the job on these machines.
      places: the zones or regions in which to try, in order.
      hosts: the number of machines that train together.
      create: rents the machines of an attempt.
      describe: prints their state: several commands, of which each needs the one before.
      observe: reads the outputs of `describe`; "" stands for what does not exist.
      delete: deletes them, given what `describe` printed last; none if there is nothing.
      store: opens the work directory.
      check: checks rights, image and quota for a work directory; returns warnings, and raises
        UserError if the job certainly cannot run.
      hourly_cost: estimated US dollars per hour of all machines; None if unknown.
      warnings: for the user.
      errors: how the vendor's program reports errors.
    """

    kind: str
    accelerator: str
    in_container: bool
    strategy_flags: tuple[str, ...]
    places: tuple[str, ...]
    hosts: int
    create: Callable[[JobRecord, Attempt], Command]
    describe: Callable[[Attempt], tuple[Command, ...]]
    observe: Callable[[Sequence[str]], Observed]
    delete: Callable[[Attempt, Sequence[str]], tuple[Command, ...]]
    store: Callable[[str], Store]
    check: Callable[[str], list[str]]
    hourly_cost: float | None
    warnings: tuple[str, ...]
    errors: ErrorPatterns


@dataclasses.dataclass(frozen=True)
class Context:
    """What a local plan may use besides the job and the settings.

    Attributes:
      data: paths of the data that the job reads.
      max_hours: time limit of the job.
      max_restarts: number of restarts after failures.
    """

    data: tuple[str, ...]
    max_hours: float
    max_restarts: int


@dataclasses.dataclass(frozen=True)
class LocalPlan:
    """Command lines of this computer that run a job, or hand it to another scheduler.

    Attributes:
      prepare: run one after the other; each must succeed.
      run: its output is shown, and its exit status is that of the submission.
      stop: asks the job to save its state and to exit.
      not_started: exit statuses of `run` that mean that the job did not start.
      results: where the results are.
      message: for the user, when `run` has succeeded; empty: the usual one.
    """

    prepare: tuple[Command, ...]
    run: Command
    stop: tuple[Command, ...]
    not_started: tuple[int, ...]
    results: str
    message: str = ""


@dataclasses.dataclass(frozen=True)
class Target:
    """A place where jobs can run.

    Exactly one of `machines` and `local` is set.

    Attributes:
      name: the value of `--target`.
      program: the program that executes the command lines, for example gcloud.
      settings: the class of its settings.
      machines: how it rents machines, from the kind of experiment (supervised or rl), the command
        (train or tune) and the settings. Raises UserError if such a job cannot run there.
      local: the commands of this computer, from a job, the settings and a context.
      listing: how to list its jobs, from the settings.
      required: settings that must not be empty.
      bucket_scheme: if not empty, as `gs://`, results and data must be in such a bucket.
      default_workdir: the work directory of a job if neither it nor a bucket is given.
    """

    name: str
    program: str
    settings: type[Settings]
    machines: Callable[[str, str, Any], Machines] | None = None
    local: Callable[[Job, Any, Context], LocalPlan] | None = None
    listing: Callable[[Any], Query] | None = None
    required: tuple[str, ...] = ()
    bucket_scheme: str = ""
    default_workdir: Callable[[str], str] | None = None
