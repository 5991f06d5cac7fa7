"""The flags that select devices, strategy and precision. Does not import TensorFlow."""

import dataclasses
import typing
from typing import Any

from trainer.compat.tpu import ONE_HOST
from trainer.engine.cluster import training_hosts
from trainer.errors import UserError, unknown_name


def _flag(default: Any, doc: str, choices: tuple[str, ...] = ()) -> Any:
    return dataclasses.field(default=default, metadata={"doc": doc, "choices": choices})


@dataclasses.dataclass(frozen=True)
class DistributionConfig:
    """Where and how to compute. The command line has one flag per field.

    Raises:
      UserError: at construction, if a value is unknown or two values contradict each other.
    """

    strategy: str = _flag(
        "auto",
        "Distribution strategy. auto uses a TPU if there is one, else all GPUs, else the CPU.",
        choices=("auto", "cpu", "gpu", "mirrored", "multi_worker", "tpu"),
    )
    tpu: str = _flag(
        "", "local: the TPU of this machine. TPUs of other machines are not supported."
    )
    precision: str = _flag(
        "auto",
        "Numeric precision. auto uses bfloat16 if the hardware supports it.",
        choices=("auto", "float32", "mixed_bfloat16", "mixed_float16"),
    )
    jit: str = _flag(
        "auto",
        "Compile steps with XLA. auto compiles where that is faster.",
        choices=("auto", "on", "off"),
    )
    virtual_devices: int = _flag(
        0,
        "Split the CPU or one GPU into this many logical devices, to test a strategy without "
        "the hardware; 0 disables.",
    )

    def __post_init__(self) -> None:
        for flag in flags():
            value = getattr(self, flag.name)
            if flag.choices and value not in flag.choices:
                raise unknown_name(f"value of --{flag.name}", value, flag.choices)
        if self.virtual_devices < 0:
            raise UserError(
                f"--virtual_devices must be >= 0 (0 disables). Received: {self.virtual_devices}"
            )
        if self.virtual_devices and self.strategy == "tpu":
            raise UserError("--virtual_devices cannot be combined with --strategy=tpu")
        if self.tpu and self.strategy not in ("auto", "tpu"):
            raise UserError(
                f"--tpu requires --strategy=tpu or auto. Received: --strategy={self.strategy}"
            )
        if self.tpu not in ("", "local"):
            raise UserError(f"--tpu is local or empty: {ONE_HOST}. Received: --tpu={self.tpu}")

    @property
    def requires_tpu(self) -> bool:
        """Whether the TPU of this machine was requested."""
        return self.strategy == "tpu" or bool(self.tpu)

    @property
    def may_use_tpu(self) -> bool:
        """Whether this process uses the TPU of this machine if there is one."""
        return self.requires_tpu or (self.strategy == "auto" and not self.joins_a_cluster)

    @property
    def joins_a_cluster(self) -> bool:
        """Whether this process is one of several workers; TF_CONFIG lists them."""
        if self.strategy == "auto" and not self.tpu:
            return len(training_hosts()) > 1
        return self.strategy == "multi_worker"


@dataclasses.dataclass(frozen=True)
class Flag:
    """One field of `DistributionConfig`, as needed to define a command-line flag.

    Attributes:
      name: name of the flag and of the field.
      type: str or int.
      default: the default value.
      choices: the allowed values; empty if any value is allowed.
      doc: help text.
    """

    name: str
    type: type
    default: Any
    choices: tuple[str, ...]
    doc: str


def flags() -> list[Flag]:
    """One flag per field of `DistributionConfig`."""
    types = typing.get_type_hints(DistributionConfig)
    return [
        Flag(field.name, types[field.name], field.default, **field.metadata)
        for field in dataclasses.fields(DistributionConfig)
    ]
