"""From placement flags to `strategy.Placement`."""

from absl import flags

from trainer.engine.distribution import Placement


def from_flags(values: flags.FlagValues) -> Placement:
    """The placement that the flags of `flags.placement` describe."""
    return Placement(
        strategy=values.strategy,
        tpu=values.tpu,
        virtual_devices=values.virtual_devices,
        precision=values.precision,
        jit=values.jit,
    )
