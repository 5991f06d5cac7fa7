import pytest

from trainer.compat.keras import tf
from trainer.engine.checkpoints import Checkpoints, restore


def state(value):
    return tf.train.Checkpoint(value=tf.Variable(value))


def save(checkpoints, step, best_step=-1):
    checkpoints.save(step, state(float(step)), {"step": step}, best_step)


def test_the_newest_whole_checkpoint_comes_back(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    assert checkpoints.newest() == (None, [])
    for step in (5, 10, 15):
        save(checkpoints, step)
    found, complaints = checkpoints.newest()
    target = state(0.0)
    restore(found, target)
    assert target.value.numpy() == 15.0
    assert found.loop_state == {"step": 15}
    assert complaints == []
    assert checkpoints.steps() == [15, 10]


def test_the_best_stays(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    for step in range(5):
        save(checkpoints, step, best_step=1 if step else 0)
    assert checkpoints.steps() == [4, 3, 1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "manifest.json").write_text('{"step": 2'),
        lambda folder: (folder / "state.index").unlink(),
        lambda folder: (folder / "state.index").write_bytes(b""),
        lambda folder: flip_last_byte(folder / "state.data-00000-of-00001"),
    ],
    ids=["no manifest", "half a manifest", "file gone", "file empty", "one byte flipped"],
)
def test_a_checkpoint_that_is_not_whole_does_not_count(tmp_path, damage):
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    save(checkpoints, 1)
    save(checkpoints, 2)
    damage(tmp_path / "00000002")
    found, complaints = checkpoints.newest()
    assert found.step == 1
    assert len(complaints) == 1
    assert "00000002 is damaged" in complaints[0]
    # Saving the step again mends it.
    save(checkpoints, 2)
    assert checkpoints.newest()[0].step == 2


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_worker_leaves_no_files(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=2, worker=1, is_chief=False)
    save(checkpoints, 1)
    assert list(tmp_path.iterdir()) == []


def test_restoring_misses_no_object(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    save(checkpoints, 1)
    found, _ = checkpoints.newest()
    with pytest.raises(AssertionError):
        restore(found, tf.train.Checkpoint(value=tf.Variable(0.0), other=tf.Variable(0.0)))
