import pytest

from trainer.compat import tpu
from trainer.doctor import tensorflow_checks
from trainer.doctor.finding import Level
from trainer.engine.distribution_config import DistributionConfig


@pytest.mark.parametrize(
    ("strategy", "remedy"),
    [("gpu", "--strategy=cpu"), ("tpu", "TPU VM"), ("multi_worker", "--help")],
)
def test_unavailable_strategy_fails_with_a_remedy(strategy, remedy, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    (finding,) = tensorflow_checks.check_strategy(DistributionConfig(strategy=strategy))
    assert finding.level is Level.FAIL
    assert remedy in finding.remedy


@pytest.mark.parametrize("strategy", ["auto", "tpu"])
def test_a_tpu_with_pjrt_is_reported_and_not_loaded(strategy, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(tpu, "find", lambda _: tpu.LocalTPU("v6e-8", "pjrt"))
    (finding,) = tensorflow_checks.check_strategy(DistributionConfig(strategy=strategy))
    assert finding.level is Level.OK
    assert finding.text == "tpu (v6e-8); not created by this check"
