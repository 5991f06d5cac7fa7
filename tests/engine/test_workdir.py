import pytest

from trainer.config import ReinforcementLearning, Supervised, Train, loading
from trainer.engine import workdir
from trainer.errors import UserError

EXPERIMENT = Supervised()


def make(path, experiment):
    path.mkdir()
    (path / "config.json").write_text(loading.to_json(experiment))


def test_check_usable_does_not_create_the_directory(tmp_path):
    workdir.check_usable(str(tmp_path / "a" / "b"), EXPERIMENT)
    assert list(tmp_path.iterdir()) == []


def test_same_experiment_can_resume(tmp_path):
    make(tmp_path / "run", EXPERIMENT)
    workdir.check_usable(str(tmp_path / "run"), EXPERIMENT)


def test_more_epochs_can_resume(tmp_path):
    make(tmp_path / "run", EXPERIMENT)
    workdir.check_usable(str(tmp_path / "run"), Supervised(train=Train(epochs=99)))


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        (Supervised(train=Train(epochs=5)), Supervised(train=Train(epochs=2)), "train.epochs: 5"),
        (Supervised(train=Train(steps=5)), Supervised(train=Train(steps=2)), "train.steps: 5 → 2"),
        (
            ReinforcementLearning(seeds=3),
            ReinforcementLearning(seeds=2),
            "seeds: 3 → 2",
        ),
    ],
)
def test_a_shorter_experiment_is_refused(old, new, shown, tmp_path):
    make(tmp_path / "run", old)
    with pytest.raises(UserError, match=f"can only be extended.*{shown}"):
        workdir.check_usable(str(tmp_path / "run"), new)


def test_other_experiment_is_refused_with_its_differences(tmp_path):
    make(tmp_path / "run", EXPERIMENT)
    with pytest.raises(UserError, match="seed: 0 → 4"):
        workdir.check_usable(str(tmp_path / "run"), Supervised(seed=4))


def test_directory_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="not a run of trainer"):
        workdir.check_usable(str(tmp_path), EXPERIMENT)


def test_several_seeds_that_were_killed_early_can_start_again(tmp_path):
    (tmp_path / "seed_3").mkdir()
    workdir.check_usable(str(tmp_path), Supervised(seed=3, seeds=2))
    with pytest.raises(UserError, match="not a run of trainer"):
        workdir.check_usable(str(tmp_path), Supervised(seed=3))


def test_file_as_parent_directory_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file, not a directory"):
        workdir.check_usable(str(tmp_path / "file" / "run"), EXPERIMENT)


def test_load_experiment_requires_a_run(tmp_path):
    with pytest.raises(UserError, match=r"no config\.json"):
        workdir.load_experiment(str(tmp_path))
