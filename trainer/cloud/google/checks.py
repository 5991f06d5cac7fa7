"""What is checked before anything is rented: rights, image and quota.

A check that cannot be made, because the user may not look or a service is not enabled, gives a
warning. Only a clear negative answer refuses the submission.
"""

import dataclasses
import json
from collections.abc import Sequence

from trainer.cloud import commands
from trainer.cloud.command_errors import ErrorKind
from trainer.cloud.commands import Command, CommandFailed
from trainer.cloud.google import gcloud
from trainer.cloud.google.settings import GoogleSettings
from trainer.errors import UserError

# The machine writes and lists objects, and replaces them, which takes the right to delete. Whoever
# may do these may read them.
_BUCKET_PERMISSIONS = ("storage.objects.create", "storage.objects.delete")


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a job needs from the project.

    Attributes:
      self_deletion: the right with which machines delete themselves; empty if a service does.
      image: the container image; empty if there is none.
      quota: names of the project's quotas per region to which GPUs count; empty if not known.
      count: of GPUs on all machines.
      region: of the quota.
    """

    self_deletion: str = ""
    image: str = ""
    quota: str = ""
    count: int = 0
    region: str = ""


def check(workdir: str, settings: GoogleSettings, needs: Needs) -> list[str]:
    """Checks a submission against the project; returns warnings.

    Raises:
      UserError: if the job certainly cannot run.
    """
    project = settings.project or _output(gcloud.command("config get-value project")).strip()
    if not project:
        raise UserError("no project: set project=… or run gcloud config set project PROJECT")
    account = settings.service_account or _default_account(project)
    warnings = _check_rights(account, workdir, project, needs.self_deletion)
    if needs.image:
        warnings += _check_image(needs.image)
    if needs.quota:
        warnings += _check_quota(project, needs)
    return warnings


def _default_account(project: str) -> str:
    """The account that machines have by default; empty if the user may not look."""
    try:
        number = _output(
            gcloud.command("projects describe", project, "--format=value(projectNumber)")
        )
    except CommandFailed:
        return ""
    return f"{number.strip()}-compute@developer.gserviceaccount.com"


def _check_rights(account: str, workdir: str, project: str, self_deletion: str) -> list[str]:
    if not account:
        return ["the job's service account is not known; its rights were not checked"]
    bucket = workdir.removeprefix("gs://").partition("/")[0]
    of_bucket = f"//storage.googleapis.com/projects/_/buckets/{bucket}"
    of_project = f"//cloudresourcemanager.googleapis.com/projects/{project}"
    questions = [(of_bucket, permission) for permission in _BUCKET_PERMISSIONS]
    if self_deletion:
        questions.append((of_project, self_deletion))
    asks = [
        gcloud.command(
            "policy-troubleshoot iam", resource, f"--principal-email={account}",
            f"--permission={permission}", "--format=value(access)",
        )
        for resource, permission in questions
    ]  # fmt: skip
    try:
        answers = [output.strip() for output in commands.run_all(asks, gcloud.ERRORS)]
    except CommandFailed as error:
        return [f"the rights of {account} were not checked ({error.message})"]
    return _judge_rights(account, questions, answers)


def _judge_rights(
    account: str, questions: Sequence[tuple[str, str]], answers: Sequence[str]
) -> list[str]:
    warnings = []
    for (resource, permission), answer in zip(questions, answers, strict=True):
        name = resource.rpartition("/")[2]
        if answer == "NOT_GRANTED":
            raise UserError(
                f"the job's service account {account} lacks {permission} on {name}: grant it "
                "(docs/guide/cloud.md lists the rights), or set another service_account"
            )
        if answer != "GRANTED":
            warnings.append(f"whether {account} has {permission} on {name} is not known")
    return warnings


def _check_image(image: str) -> list[str]:
    if not image.partition("/")[0].endswith(".pkg.dev"):
        return [f"whether {image} exists was not checked: it is not in Artifact Registry"]
    command = gcloud.command(
        "artifacts docker images describe", image, "--format=value(image_summary.digest)"
    )
    try:
        _output(command)
    except CommandFailed as error:
        if error.kind is ErrorKind.NOT_FOUND:
            raise UserError(
                f"there is no image {image}: build it with gcloud builds submit, or set image=…"
            ) from None
        return [f"whether {image} exists was not checked ({error.message})"]
    return []


def _check_quota(project: str, needs: Needs) -> list[str]:
    command = gcloud.command(
        "compute regions describe", needs.region, f"--project={project}", "--format=json(quotas)"
    )
    try:
        quotas = json.loads(_output(command))["quotas"]
    except CommandFailed as error:
        return [f"the quota {needs.quota} was not checked ({error.message})"]
    found = next((row for row in quotas if row["metric"] == needs.quota), None)
    if found is None:
        return [f"the quota {needs.quota} of {needs.region} is not listed"]
    free = found["limit"] - found["usage"]
    if free < needs.count:
        raise UserError(
            f"the quota {needs.quota} in {needs.region} has {free:g} of {found['limit']:g} left, "
            f"but the job needs {needs.count}: request more, or choose another region or "
            "accelerator"
        )
    return []


def _output(command: Command) -> str:
    return commands.run(command, gcloud.ERRORS)
