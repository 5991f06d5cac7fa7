"""The settings of Google Cloud's targets."""

import dataclasses

from trainer.cloud.job import Job
from trainer.cloud.settings import Settings
from trainer.config.fields import field
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class GoogleSettings(Settings):
    """Where in Google Cloud a job runs, and on what."""

    project: str = field("", "Google Cloud project; empty: gcloud's default.")
    zone: str = field("", "Zone of the machines, for example us-central1-a.")
    region: str = field("", "Region of a Vertex AI job; empty: the region of the zone.")
    accelerator: str = field(
        "", "TPU type, for example v6e-8, or GPU type, for example nvidia-l4 or nvidia-l4:2."
    )
    machine_type: str = field("", "Machine type for GPUs; empty: the default for the GPU.")
    runtime_version: str = field("", "TPU software version; empty: the default for the TPU.")
    spot: bool = field(True, "Use spot capacity: cheaper, but it can be preempted at any time.")
    network: str = field("", "VPC network of the machines; empty: default.")
    service_account: str = field("", "Service account of the job; empty: the project's default.")
    disk_gb: int = field(200, "Boot disk of a GPU VM, in GB.", minimum=50)
    vm_image_family: str = field(
        "common-cu129-ubuntu-2204-nvidia-580",
        "Image family of a GPU VM, from the project deeplearning-platform-release.",
        non_empty=True,
    )

    @property
    def vertex_region(self) -> str:
        """The region, or the region of the zone."""
        return self.region or self.zone.rpartition("-")[0]


def check_agent_fits(job: Job, settings: GoogleSettings) -> None:
    """Refuses to train an agent on several hosts.

    Raises:
      UserError: if the job trains an agent and has several hosts.
    """
    if job.task == "rl" and job.command == "train" and settings.hosts > 1:
        raise UserError(f"agents train on one host: use hosts=1. Received: hosts={settings.hosts}")
