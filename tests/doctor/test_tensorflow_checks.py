import pytest

from trainer.doctor import tensorflow_checks
from trainer.doctor.finding import Level
from trainer.engine.distribution_config import DistributionConfig


@pytest.mark.parametrize(
    ("strategy", "remedy"),
    [("gpu", "--strategy=cpu"), ("tpu", "devices"), ("multi_worker", "--help")],
)
def test_unavailable_strategy_fails_with_a_remedy(strategy, remedy, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    (finding,) = tensorflow_checks.check_strategy(DistributionConfig(strategy=strategy))
    assert finding.level is Level.FAIL
    assert remedy in finding.remedy
