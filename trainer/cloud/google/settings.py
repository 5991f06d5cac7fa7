"""The settings of Google Cloud's targets."""

import dataclasses

from trainer.cloud.settings import Settings
from trainer.config.fields import field
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class GoogleSettings(Settings):
    """Where in Google Cloud a job runs, and on what."""

    project: str = field("", "Google Cloud project; empty: gcloud's default.")
    zone: str = field(
        "", "Zone of the machines, for example us-central1-a; or several, in order: a,b."
    )
    accelerator: str = field(
        "", "TPU type, for example v6e-8, or GPU type, for example nvidia-l4 or nvidia-l4:2."
    )
    spot: bool = field(True, "Use spot capacity: cheaper, but it can be preempted at any time.")
    network: str = field(
        "",
        "VPC network of the machines; empty: default. For vertex its full name, "
        "projects/NUMBER/global/networks/NAME.",
    )
    service_account: str = field("", "Service account of the job; empty: the project's default.")

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones in order."""
        return tuple(zone.strip() for zone in self.zone.split(",") if zone.strip())


@dataclasses.dataclass(frozen=True)
class MachineSettings(GoogleSettings):
    """Settings of virtual machines."""

    subnetwork: str = field("", "Subnetwork of the machines; empty: the network's default.")
    internal_ip: bool = field(
        False, "No external addresses; the network then needs Private Google Access or Cloud NAT."
    )


@dataclasses.dataclass(frozen=True)
class TPUSettings(MachineSettings):
    """Settings of a TPU VM."""

    runtime_version: str = field("", "TPU software version; empty: the default for the TPU.")
    image: str = field("", "Container image to run; empty: the machine installs this code.")


@dataclasses.dataclass(frozen=True)
class GPUSettings(MachineSettings):
    """Settings of GPU VMs."""

    machine_type: str = field("", "Machine type for GPUs; empty: the default for the GPU.")
    hosts: int = field(1, "Number of machines that train together.", minimum=1)
    disk_gb: int = field(200, "Boot disk of a GPU VM, in GB.", minimum=50)
    vm_image_family: str = field(
        "common-cu129-ubuntu-2204-nvidia-580",
        "Image family of a GPU VM, from the project deeplearning-platform-release.",
        non_empty=True,
    )


@dataclasses.dataclass(frozen=True)
class VertexSettings(GoogleSettings):
    """Settings of a Vertex AI custom job."""

    region: str = field(
        "", "Region of a Vertex AI job, or several: a,b; empty: the regions of the zones."
    )
    machine_type: str = field("", "Machine type for GPUs; empty: the default for the GPU.")
    hosts: int = field(1, "Number of machines that train together.", minimum=1)
    image: str = field("", "Container image to run.")

    def validate(self) -> None:
        """Refuses a network without its project, which the service does not accept."""
        super().validate()
        if self.network and not self.network.startswith("projects/"):
            raise UserError(
                "network must be projects/NUMBER/global/networks/NAME for --target=vertex. "
                f"Received: {self.network!r}"
            )

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions in order."""
        given = tuple(region.strip() for region in self.region.split(",") if region.strip())
        return given or tuple(dict.fromkeys(zone.rpartition("-")[0] for zone in self.zones))


def check_agent_fits(task: str, command: str, hosts: int) -> None:
    """Refuses to train an agent on several hosts.

    Raises:
      UserError: if the job trains an agent and has several hosts.
    """
    if task == "rl" and command == "train" and hosts > 1:
        raise UserError(f"agents train on one host: use hosts=1. Received: hosts={hosts}")
