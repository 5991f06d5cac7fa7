import pytest

from trainer.config import Supervised, Train, loading
from trainer.engine import workdir
from trainer.errors import UserError

EXPERIMENT = Supervised()


def make(path, experiment):
    path.mkdir()
    (path / "config.json").write_text(loading.to_json(experiment))


def test_a_new_directory_is_not_made_by_looking(tmp_path):
    workdir.check_usable(str(tmp_path / "a" / "b"), EXPERIMENT)
    assert list(tmp_path.iterdir()) == []


def test_the_same_experiment_may_go_on(tmp_path):
    make(tmp_path / "run", EXPERIMENT)
    workdir.check_usable(str(tmp_path / "run"), EXPERIMENT)


def test_more_steps_may_go_on(tmp_path):
    make(tmp_path / "run", EXPERIMENT)
    workdir.check_usable(str(tmp_path / "run"), Supervised(train=Train(epochs=99)))


def test_another_experiment_is_refused_with_what_differs(tmp_path):
    make(tmp_path / "run", EXPERIMENT)
    with pytest.raises(UserError, match="seed: 0 → 4"):
        workdir.check_usable(str(tmp_path / "run"), Supervised(seed=4))


def test_a_foreign_directory_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="no run of ours"):
        workdir.check_usable(str(tmp_path), EXPERIMENT)


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file, not a directory"):
        workdir.check_usable(str(tmp_path / "file" / "run"), EXPERIMENT)


def test_no_work_directory_of_a_run(tmp_path):
    with pytest.raises(UserError, match=r"no config\.json"):
        workdir.load_experiment(str(tmp_path))


def test_atomic_writing_leaves_no_temporary_file(tmp_path):
    workdir.write_json(str(tmp_path / "a.json"), {"b": 1})
    assert workdir.read_json(str(tmp_path / "a.json")) == {"b": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
