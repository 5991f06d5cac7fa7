import numpy as np
from scipy import stats

from trainer.rl.evaluation import Episodes, interval, summarize

RETURNS = np.array([1.0, 2, 3, 4, 5, 6, 7, 1000], np.float32)


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    played = Episodes(RETURNS, RETURNS / 2, RETURNS / 4, np.full(8, 9, np.float32))
    figures = summarize(played, seed=0)
    assert figures["return_iqm"] == np.mean([3, 4, 5, 6])
    assert figures["return_mean"] == RETURNS.mean()
    assert figures["return_min"] == 1
    assert figures["discounted_return_mean"] == RETURNS.mean() / 2
    assert figures["q_first_mean"] == RETURNS.mean() / 4
    assert figures["length_mean"] == 9
    assert figures["episodes"] == 8
    assert figures["return_ci95"] == list(interval(RETURNS.astype(np.float64), 0))


def test_the_interval_is_the_percentile_bootstrap_of_the_interquartile_mean():
    returns = np.random.default_rng(3).normal(100, 20, 200)
    low, high = interval(returns, seed=0)
    reference = stats.bootstrap(
        (returns,),
        lambda x, axis: stats.trim_mean(x, 0.25, axis=axis),
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(7),
    ).confidence_interval
    np.testing.assert_allclose([low, high], [reference.low, reference.high], atol=0.6)
    assert low < stats.trim_mean(returns, 0.25) < high


def test_equal_returns_have_no_spread():
    assert interval(np.full(20, 500.0), seed=0) == (500.0, 500.0)
