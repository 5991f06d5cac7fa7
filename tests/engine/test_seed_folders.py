import pytest

from trainer.config import Supervised
from trainer.engine import seed_folders
from trainer.errors import UserError


def test_each_run_has_its_seed_and_folder():
    runs = seed_folders.runs(Supervised(seed=3, seeds=2), "runs/x")
    assert [(run.seed, run.seeds, path) for run, path in runs] == [
        (3, 1, "runs/x/seed_3"),
        (4, 1, "runs/x/seed_4"),
    ]
    assert seed_folders.runs(Supervised(seed=3), "runs/x") == [(Supervised(seed=3), "runs/x")]


def test_the_last_seed_must_be_a_seed():
    with pytest.raises(UserError, match=r"seed \+ seeds must be <= 4294967296"):
        Supervised(seed=2**32 - 1, seeds=2)
