"""The command-line flags of `DistributionConfig`, and what they ask of the process."""

from typing import Any

from absl import flags

from trainer.compat import tpu
from trainer.engine import distribution_config
from trainer.engine.distribution_config import DistributionConfig


def define(values: flags.FlagValues) -> None:
    """Defines one flag per field of `DistributionConfig`."""
    define_flag: dict[type, Any] = {str: flags.DEFINE_string, int: flags.DEFINE_integer}
    for flag in distribution_config.flags():
        doc = f"{' | '.join(flag.choices)}. {flag.doc}" if flag.choices else flag.doc
        define_flag[flag.type](flag.name, flag.default, doc, flag_values=values)


def from_flags(values: flags.FlagValues) -> DistributionConfig:
    """The configuration that the parsed flags describe.

    Raises:
      UserError: if a value is unknown or two values contradict each other.
    """
    fields: dict[str, Any] = {f.name: values[f.name].value for f in distribution_config.flags()}
    return DistributionConfig(**fields)


def prepare_process(config: DistributionConfig) -> None:
    """Prepares this process for the TPU of this machine, if the flags select it and there is one.

    Call it before TensorFlow is imported, and only in a process that computes with these flags.

    Raises:
      UserError: if the flags require a TPU and there is none, or TensorFlow cannot use it.
    """
    if config.may_use_tpu:
        tpu.prepare(config.requires_tpu)
