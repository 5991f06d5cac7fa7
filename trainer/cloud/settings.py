"""`cloud.toml`: where to compute and on what; flags of the same names override it."""

import dataclasses
import sys
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.config.fields import ConfigBase, field
from trainer.errors import UserError, unknown_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TARGETS = ("docker", "tpu-vm", "gpu-vm", "vertex")
DEFAULT_FILE = "cloud.toml"


@dataclasses.dataclass(frozen=True)
class Settings(ConfigBase):
    """What of a submission is not part of the experiment."""

    project: str = field("", "Google Cloud project; empty: gcloud's own default.")
    zone: str = field("", "Zone of the machines, as us-central1-a.")
    region: str = field("", "Region of a Vertex job; empty: the one the zone lies in.")
    bucket: str = field("", "Cloud Storage bucket for results and staging, without gs://.")
    image: str = field(
        "", "Container image to run; empty: VMs install this code, docker takes trainer."
    )
    accelerator: str = field("", "A TPU type, as v4-8, or GPUs, as nvidia-l4 or nvidia-l4:2.")
    machine_type: str = field("", "Machine type for GPUs; empty: the table's for them.")
    runtime_version: str = field("", "TPU software version; empty: the table's for the type.")
    hosts: int = field(1, "Machines with GPUs that train together.", minimum=1)
    spot: bool = field(True, "Spot capacity: cheaper, and taken away at any time.")
    network: str = field("", "VPC network of a VM; empty: default.")
    service_account: str = field("", "Whose rights the job has; empty: the project's default.")
    disk_gb: int = field(200, "Boot disk of a GPU VM, gigabytes.", minimum=50)
    vm_image_family: str = field(
        "common-cu129-ubuntu-2204-nvidia-580",
        "Image family of a GPU VM, of the project deeplearning-platform-release.",
        non_empty=True,
    )
    gpus: str = field("", "GPUs for docker's --gpus, as all; empty: none.")
    poll_seconds: int = field(15, "Pause between looks at a state, seconds.", minimum=1)

    def validate(self) -> None:
        """Refuses a bucket that is written as an address."""
        if "/" in self.bucket:
            raise UserError(
                f"bucket is a name without gs:// and folders. Received: {self.bucket!r}"
            )

    @property
    def vertex_region(self) -> str:
        """The region, or that of the zone."""
        return self.region or self.zone.rpartition("-")[0]


def load(path: str, target: str, flags: Mapping[str, Any]) -> Settings:
    """The settings of a target: defaults, the file, the file's table `[target]`, flags.

    Args:
      path: a TOML file; empty takes `cloud.toml` if that is there.
      target: one of `TARGETS`.
      flags: settings given as flags.

    Raises:
      UserError: for an unknown target or setting, or a value it refuses.
    """
    if target not in TARGETS:
        raise unknown_name("value of --target", target, TARGETS)
    content = _read(path)
    tables = {name: content.pop(name) for name in TARGETS if name in content}
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise UserError(f"{path}: {name} is a table, [{name}]. Received: {table!r}")
        _check_names(table, path)
    _check_names(content, path)
    of_file = {**content, **tables.get(target, {})}
    try:
        Settings(**of_file)
    except UserError as error:
        raise UserError(f"{path or DEFAULT_FILE}: {error}") from None
    return Settings(**{**of_file, **flags})


def fields() -> list[tuple[str, type, Any, str]]:
    """Name, type, default and meaning of every setting."""
    hints = typing.get_type_hints(Settings)
    return [
        (field.name, hints[field.name], field.default, str(field.metadata["doc"]))
        for field in dataclasses.fields(Settings)
    ]


def _read(path: str) -> dict[str, Any]:
    file = Path(path or DEFAULT_FILE)
    if not file.is_file():
        if path:
            raise UserError(f"--settings names no file. Received: {path!r}")
        return {}
    try:
        return tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not TOML: {error}. Received: {str(file)!r}") from None


def _check_names(table: Mapping[str, Any], path: str) -> None:
    known = [name for name, *_ in fields()]
    for name in table:
        if name not in known:
            raise unknown_name(f"setting in {path or DEFAULT_FILE}", name, [*known, *TARGETS])
