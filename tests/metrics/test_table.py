import pytest

from trainer.errors import UserError
from trainer.metrics import table


def test_the_loss_comes_first():
    assert [metric.name for metric in table.find_all(("auc", "accuracy"))] == [
        "loss", "auc", "accuracy",
    ]  # fmt: skip


def test_an_unknown_metric_names_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'accuracy'"):
        table.find("acuracy")


def test_a_metric_named_twice_is_refused():
    with pytest.raises(UserError, match="two metrics of the name 'auc'"):
        table.find_all(("auc", "auc"))


def test_a_users_own_metric_must_be_a_metric():
    with pytest.raises(UserError, match=r"must be a trainer\.metrics\.metric\.Metric"):
        table.find("math:sqrt")
    assert table.find("trainer.metrics.classification:LOSS").name == "loss"
