import numpy as np
import pytest
from scipy import stats

from trainer.config import Supervised
from trainer.engine import multi_seed
from trainer.errors import UserError


def test_the_mean_and_its_interval():
    scores = [0.9, 0.92, 0.97]
    found = multi_seed.mean_and_interval(
        [{"accuracy": score, "recall_per_class": [score, 1.0]} for score in scores]
    )
    expected = stats.t.interval(0.95, 2, np.mean(scores), stats.sem(scores))
    assert set(found) == {"accuracy", "accuracy_ci95", "accuracy_of_each_seed", "seeds"}
    np.testing.assert_allclose(found["accuracy"], np.mean(scores))
    np.testing.assert_allclose(found["accuracy_ci95"], expected)
    assert found["accuracy_of_each_seed"] == scores
    assert found["seeds"] == 3


def test_a_value_that_is_not_finite_has_no_mean():
    found = multi_seed.mean_and_interval([{"loss": 1.0, "auc": 0.5}, {"loss": np.nan, "auc": 0.5}])
    assert "loss" not in found
    assert found["auc_ci95"] == [0.5, 0.5]


def test_each_run_has_its_seed_and_folder():
    runs = multi_seed.runs(Supervised(seed=3, seeds=2), "runs/x")
    assert [(run.seed, run.seeds, path) for run, path in runs] == [
        (3, 1, "runs/x/seed_3"),
        (4, 1, "runs/x/seed_4"),
    ]
    assert multi_seed.runs(Supervised(seed=3), "runs/x") == [(Supervised(seed=3), "runs/x")]


def test_the_last_seed_must_be_a_seed():
    with pytest.raises(UserError, match=r"seed \+ seeds must be <= 4294967296"):
        Supervised(seed=2**32 - 1, seeds=2)
