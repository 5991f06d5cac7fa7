import json

import pytest

from trainer.compat.keras import tf
from trainer.engine.checkpoints import Checkpoints, restore
from trainer.errors import UserError


def state(value):
    return {"value": tf.Variable(value)}


def save(checkpoints, step, best_step=-1):
    checkpoints.save(step, state(float(step)), {}, {"step": step}, best_step)


def test_the_newest_complete_checkpoint_is_restored(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    assert checkpoints.newest() == (None, [])
    for step in (5, 10, 15):
        save(checkpoints, step)
    found, skipped = checkpoints.newest()
    target = state(0.0)
    restore(found, target)
    assert target["value"].numpy() == 15.0
    assert found.loop_state == {"step": 15}
    assert skipped == []
    assert checkpoints.steps() == [15, 10]


def test_the_best_is_kept(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    for step in range(5):
        save(checkpoints, step, best_step=1 if step else 0)
    assert checkpoints.steps() == [4, 3, 1]


def test_of_the_best_a_part_is_kept_once_it_is_not_among_the_newest(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=2)

    def save_part(step, best_step):
        checkpoints.save(
            step,
            {**state(float(step)), "large": tf.Variable(0.0)},
            {},
            {"step": step},
            best_step,
            best_state=state(float(step)),
        )

    save_part(0, best_step=0)
    # A second version of the same step leaves no files of the first.
    save_part(1, best_step=-1)
    checkpoints.update(1, {"step": 1}, 1, state(1.0))
    for step in (2, 3):
        save_part(step, best_step=1)
    assert checkpoints.steps() == [3, 2, 1]
    best, _ = checkpoints.find(1)
    assert not best.is_whole
    names = {each.name.partition(".")[0] for each in (tmp_path / "00000001").iterdir()}
    assert names == {"best-0", "manifest"}
    target = state(0.0)
    restore(best, target)
    assert target["value"].numpy() == 1.0
    # Only whole checkpoints are resumed.
    assert checkpoints.newest()[0].step == 3
    assert checkpoints.newest(skip=5)[0].step == 2
    assert checkpoints.newest() == (checkpoints.find(3)[0], [])
    assert checkpoints.newest_partial().step == 1


def test_a_worker_restores_what_it_saved_for_itself(tmp_path):
    """Workers take turns here; they meet where they share their files."""
    shared = []

    def worker(number):
        return Checkpoints(
            str(tmp_path), 2, number, is_chief=number == 0, workers=2, share=lambda _: shared
        )

    def local(number):
        return {"own": tf.Variable(10.0 + number)}

    other = Checkpoints(
        str(tmp_path), 2, 1, is_chief=False, workers=2, share=lambda text: shared.append(text) or []
    )
    other.save(1, state(1.0), {}, {}, -1, local(1))
    shared[:] = [text for text in shared if text]
    worker(0).save(1, state(1.0), {}, {}, -1, local(0))
    for number in range(2):
        checkpoints = worker(number)
        found, _ = checkpoints.newest()
        target = {"own": tf.Variable(0.0)}
        checkpoints.restore(found, state(0.0), {}, target)
        assert target["own"].numpy() == 10.0 + number
    third = Checkpoints(str(tmp_path), 2, 2, is_chief=False, workers=3)
    with pytest.raises(UserError, match="as many workers as saved it"):
        third.restore(found, state(0.0), {}, local(0))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "manifest.json").write_text('{"step": 2'),
        lambda folder: (folder / "state-0.index").unlink(),
        lambda folder: (folder / "state-0.index").write_bytes(b""),
        lambda folder: flip_last_byte(folder / "state-0.data-00000-of-00001"),
    ],
    ids=["no manifest", "half a manifest", "file gone", "file empty", "one byte flipped"],
)
def test_an_incomplete_checkpoint_is_skipped(tmp_path, damage):
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    save(checkpoints, 1)
    save(checkpoints, 2)
    damage(tmp_path / "00000002")
    found, skipped = checkpoints.newest()
    assert found.step == 1
    assert len(skipped) == 1
    assert "00000002 is corrupt" in skipped[0]
    # Saving the step again replaces it.
    save(checkpoints, 2)
    assert checkpoints.newest()[0].step == 2
    assert len(list((tmp_path / "00000002").iterdir())) == 3


def test_damaged_folders_do_not_count_as_kept(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    for step in (1, 2, 3):
        save(checkpoints, step)
    (tmp_path / "00000003" / "state-0.index").unlink()
    # As after a resume from step 2.
    save(checkpoints, 4)
    assert checkpoints.steps() == [4, 2]


def test_a_step_that_is_saved_again_is_complete_at_every_moment(tmp_path, monkeypatch):
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    save(checkpoints, 1)

    class Killed(Exception):
        pass

    def kill(*_):
        raise Killed

    monkeypatch.setattr("trainer.engine.checkpoints.write_json", kill)
    with pytest.raises(Killed):
        checkpoints.save(1, state(7.0), {}, {"step": 1}, -1)
    found, damaged = checkpoints.newest()
    target = state(0.0)
    restore(found, target)
    assert (damaged, target["value"].numpy()) == ([], 1.0)


def test_the_loop_state_is_replaced_without_the_variables(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    save(checkpoints, 1)
    data = tmp_path / "00000001" / "state-0.data-00000-of-00001"
    written = data.stat().st_mtime_ns
    checkpoints.update(1, {"step": 1, "best_step": 1}, best_step=1)
    assert checkpoints.newest()[0].loop_state == {"step": 1, "best_step": 1}
    assert data.stat().st_mtime_ns == written


def test_saving_removes_later_checkpoints(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=3)
    for step in (1, 2, 3):
        save(checkpoints, step)
    assert checkpoints.newest(skip=1)[0].step == 2
    assert checkpoints.newest(skip=9)[0].step == 1
    save(checkpoints, 2)
    assert checkpoints.steps() == [2, 1]


def test_another_format_is_refused(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    save(checkpoints, 1)
    manifest = tmp_path / "00000001" / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "format": 1}))
    with pytest.raises(UserError, match="checkpoint format 1"):
        checkpoints.newest()


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_worker_leaves_no_files(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=2, worker=1, is_chief=False)
    save(checkpoints, 1)
    assert list(tmp_path.iterdir()) == []


def test_restoring_fails_if_an_object_is_missing(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    save(checkpoints, 1)
    found, _ = checkpoints.newest()
    with pytest.raises(AssertionError):
        restore(found, {"value": tf.Variable(0.0), "other": tf.Variable(0.0)})


def test_an_accumulator_that_the_checkpoint_lacks_keeps_its_value(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    checkpoints.save(1, state(1.0), {"loss": tf.Variable(3.0)}, {"step": 1}, -1)
    found, _ = checkpoints.newest()
    target = state(0.0)
    accumulators = {"loss": tf.Variable(0.0), "added_later": tf.Variable(7.0)}
    restore(found, target, accumulators)
    assert target["value"].numpy() == 1.0
    assert accumulators["loss"].numpy() == 3.0
    assert accumulators["added_later"].numpy() == 7.0
