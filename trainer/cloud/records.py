"""The records of a job in its work directory, which every computer can read.

    WORKDIR/jobs/current              the id of the job that may write the work directory
    WORKDIR/jobs/ID/job.json          a JobRecord
                    files.tar.gz      the code and the configuration
                    cancel            exists if the job has to stop
                    end.json          an End, once the job is over
                    attempts/0001.json             an Attempt, written before it is rented
                    attempts/0001/end.json         an End, once nothing is rented any more
                    attempts/0001/host-0/machine   the machine that runs it
                                         log-00001 its output
                                         status.json  a HostStatus: how the job ended there

A record is created once and never changed, except `jobs/current`. Whoever creates `current` or an
attempt does so on the condition that it does not exist, so two submissions never rent the same
attempt twice. The machine's own records are written by `trainer.cloud.google.machine.attempt`.
"""

import dataclasses
import enum
import json
from collections.abc import Mapping
from typing import Any


class JobFailed(Exception):
    """A job failed with an error of its own, whose traceback is in its output."""


class Outcome(enum.Enum):
    """How an attempt or a job ended."""

    FINISHED = "finished"
    REFUSED = "refused"  # the job reports that its input is wrong: status 2
    FAILED = "failed"  # the job failed with an error of its own
    INTERRUPTED = "interrupted"  # its state is saved, or its machine was lost: it can be resumed
    STOCKED_OUT = "stocked out"  # no machine was available
    CANCELLED = "cancelled"  # by a user
    GAVE_UP = "gave up"  # a limit of the submission was reached


@dataclasses.dataclass(frozen=True)
class JobRecord:
    """One submission.

    Attributes:
      id: the job's name; unique.
      target: the value of `--target`.
      settings: of the target, by name.
      digest: of the experiment, the flags and the work directory; equal for equal commands.
      command: train or tune.
      task: supervised or rl.
      arguments: the arguments of `trainer` on the machine.
      workdir: `gs://…`, where the results go.
      accelerator: gpu or tpu: which locked packages a machine installs.
      image: the container image; empty: the machine installs the code.
      in_container: whether the service runs the image itself.
      created: in seconds since 1970.
      max_hours: after this the job is stopped.
      max_restarts: restarts without progress.
      max_cost: estimated US dollars after which the job is stopped; 0 is no limit.
      keep: whether the machines are kept until `max_hours`.
    """

    id: str
    target: str
    settings: Mapping[str, Any]
    digest: str
    command: str
    task: str
    arguments: tuple[str, ...]
    workdir: str
    accelerator: str
    image: str
    in_container: bool
    created: float
    max_hours: float
    max_restarts: int
    max_cost: float
    keep: bool

    @property
    def folder(self) -> str:
        """Where the job's records are."""
        return f"{self.workdir}/jobs/{self.id}"

    @property
    def deadline(self) -> float:
        """When the job is stopped, in seconds since 1970."""
        return self.created + 3600 * self.max_hours


@dataclasses.dataclass(frozen=True)
class Attempt:
    """Machines that are rented once, to run the job until it ends or they are lost.

    Attributes:
      number: from 1.
      name: of the resources; unique.
      place: the zone or region.
      machines: the names of the machines that train together.
      created: in seconds since 1970.
      deadline: when the machines stop the job and delete themselves, in seconds since 1970.
      max_seconds: after this time on the machines they do so too.
      restarts: how many attempts ended before this one since the last progress.
      progress: a digest of what the work directory contained when this attempt began.
    """

    number: int
    name: str
    place: str
    machines: tuple[str, ...]
    created: float
    deadline: float
    max_seconds: float
    restarts: int
    progress: str


@dataclasses.dataclass(frozen=True)
class HostStatus:
    """How the job ended on one machine: its exit status, and why if it was stopped."""

    status: int
    reason: str
    time: float


@dataclasses.dataclass(frozen=True)
class End:
    """How an attempt or a job ended.

    Attributes:
      outcome: how.
      message: what a user should know about it.
      time: when, in seconds since 1970.
      billed_seconds: about how long the machines of an attempt have cost money.
    """

    outcome: Outcome
    message: str
    time: float
    billed_seconds: float = 0.0


def to_json(record: JobRecord | Attempt | End) -> str:
    """The content of a record."""
    return json.dumps(dataclasses.asdict(record), default=lambda item: item.value, indent=1) + "\n"


def job(text: str) -> JobRecord:
    """Reads a `job.json`."""
    values = json.loads(text)
    return JobRecord(**{**values, "arguments": tuple(values["arguments"])})


def attempt(text: str) -> Attempt:
    """Reads an `attempts/N.json`."""
    values = json.loads(text)
    return Attempt(**{**values, "machines": tuple(values["machines"])})


def host_status(text: str) -> HostStatus:
    """Reads a `status.json`."""
    return HostStatus(**json.loads(text))


def end(text: str) -> End:
    """Reads an `end.json`."""
    values = json.loads(text)
    return End(**{**values, "outcome": Outcome(values["outcome"])})


def outcome_of(statuses: Mapping[int, HostStatus], hosts: int) -> Outcome:
    """How an attempt ended, from the statuses of the machines that have reported one."""
    values = [one.status for one in statuses.values()]
    if len(values) == hosts and not any(values):
        return Outcome.FINISHED
    if 2 in values:
        return Outcome.REFUSED
    # The others report that they have lost a worker.
    if any(value not in (0, 75) for value in values):
        return Outcome.FAILED
    return Outcome.INTERRUPTED
