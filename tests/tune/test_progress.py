"""The progress line of a search."""

import dataclasses

from trainer.config.supervised import Supervised
from trainer.tune.layout import Layout
from trainer.tune.outcome import TrialStatus
from trainer.tune.progress import summary
from trainer.tune.space import Hyperband, Objective, Random, Search, Uniform
from trainer.tune.study import Limits, Study
from trainer.tune.trial import Trial


def study(path, oracle=None, max_trials=4):
    search = Search(
        Objective("eval/loss", "min"), (Uniform("model.dropout", 0.0, 0.5),), oracle or Random()
    )
    return Study(Layout(path), search, Supervised(), Limits(max_trials), baseline=False)


TRIAL = Trial("0000", {"model.dropout": 0.1}, fraction=1.0, parent="", started=0.0)
DONE = dataclasses.replace(TRIAL, status=TrialStatus.FINISHED, ended=100.0, score=0.5)


def test_time_left_is_unknown_before_the_first_trial_ends(tmp_path):
    new = study(tmp_path)
    new.trials = {"0000": TRIAL}
    assert summary(new, 1, now=10.0) == "0 of 4 done, 1 running, 0 failed"


def test_time_left_accounts_for_running_trials(tmp_path):
    begun = study(tmp_path)
    failed = dataclasses.replace(TRIAL, id="0001", status=TrialStatus.FAILED, ended=5.0)
    begun.trials = {
        "0000": DONE,
        "0001": failed,
        "0002": dataclasses.replace(TRIAL, id="0002", started=100.0),
    }
    # One of the two remaining trials has run for 40 of 100 seconds.
    assert summary(begun, 1, now=140.0) == (
        "2 of 4 done, 1 running, 1 failed, best eval/loss 0.5 (trial 0000), about 0:02:40 left"
    )
    assert "about 0:01:20 left" in summary(begun, 2, now=140.0)
    begun.limits = Limits(search_seconds=30.0)
    assert summary(begun, 1, now=140.0).endswith((" 0:00:30 left", " 0:00:29 left"))


def test_time_left_accounts_for_the_length_of_trials(tmp_path):
    begun = study(tmp_path, Hyperband(shortest=10 / 3), max_trials=0)
    begun.trials = {"0000": dataclasses.replace(DONE, fraction=1 / 3)}
    seconds = 300 * (begun.budget - 1 / 3)
    minutes, rest = divmod(round(seconds), 60)
    assert f"about 0:{minutes:02d}:{rest:02d} left" in summary(begun, 1, now=100.0)
