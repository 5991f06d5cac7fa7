import dataclasses

import pytest
from absl import flags as absl_flags

from trainer.cli import distribution_flags
from trainer.engine import distribution_config
from trainer.engine.distribution_config import DistributionConfig
from trainer.errors import UserError


def test_each_field_is_a_flag():
    names = [field.name for field in dataclasses.fields(DistributionConfig)]
    assert [flag.name for flag in distribution_config.flags()] == names
    values = absl_flags.FlagValues()
    distribution_flags.define(values)
    values(["trainer"])
    assert distribution_flags.from_flags(values) == DistributionConfig()
    values(["trainer", "--strategy=mirrored", "--virtual_devices=2"])
    assert distribution_flags.from_flags(values) == DistributionConfig(
        strategy="mirrored", virtual_devices=2
    )
    assert all(flag.doc for flag in distribution_config.flags())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"strategy": "mirored"}, "unknown value of --strategy. Did you mean 'mirrored'?"),
        ({"precision": "bfloat16"}, "Did you mean 'mixed_bfloat16'?"),
        ({"jit": "yes"}, "unknown value of --jit"),
        ({"virtual_devices": -1}, "must be >= 0"),
        ({"virtual_devices": 2, "strategy": "tpu"}, "cannot be combined with --strategy=tpu"),
        ({"tpu": "local", "strategy": "cpu"}, "--tpu requires --strategy=tpu"),
        ({"tpu": "name"}, "one TPU host; several are not supported yet. Received: --tpu=name"),
    ],
)
def test_invalid_values_are_refused(fields, message):
    with pytest.raises(UserError) as raised:
        DistributionConfig(**fields)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "requires", "may_use"),
    [
        ({}, False, True),
        ({"strategy": "tpu"}, True, True),
        ({"tpu": "local"}, True, True),
        ({"strategy": "tpu", "tpu": "local"}, True, True),
        ({"strategy": "cpu"}, False, False),
        ({"strategy": "multi_worker"}, False, False),
    ],
)
def test_which_flags_use_a_tpu(fields, requires, may_use, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    config = DistributionConfig(**fields)
    assert (config.requires_tpu, config.may_use_tpu) == (requires, may_use)


def test_a_worker_of_a_cluster_uses_no_tpu(monkeypatch):
    cluster = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'
    monkeypatch.setenv("TF_CONFIG", cluster)
    assert not DistributionConfig().may_use_tpu
    assert DistributionConfig(strategy="tpu").may_use_tpu
