"""What a target of `trainer submit` has to define."""

import dataclasses
from collections.abc import Callable
from typing import Any

from trainer.cloud.job import Job
from trainer.cloud.plan import Plan
from trainer.cloud.settings import Settings


@dataclasses.dataclass(frozen=True)
class Context:
    """What a plan may use besides the job and the settings.

    Attributes:
      folder: a temporary directory on this machine.
      max_hours: time limit of the submission.
      data: paths of the data that the job reads.
    """

    folder: str
    max_hours: float
    data: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Target:
    """A place where jobs can run.

    Attributes:
      name: the value of `--target`.
      program: the program that executes the plan: gcloud or docker.
      settings: the class of its settings.
      plan: builds the plan from a job, an instance of `settings` and a context. It raises
        UserError if the job cannot run there.
      required: settings that must not be empty.
      bucket_scheme: if not empty, as `gs://`, results and data must be in such a bucket.
    """

    name: str
    program: str
    settings: type[Settings]
    plan: Callable[[Job, Any, Context], Plan]
    required: tuple[str, ...] = ()
    bucket_scheme: str = ""
