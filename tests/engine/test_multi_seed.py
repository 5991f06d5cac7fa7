import numpy as np
from scipy import stats

from trainer.engine import multi_seed


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
