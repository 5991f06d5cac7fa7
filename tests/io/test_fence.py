"""The fence: a process that has lost its directory writes nothing more."""

import pytest

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine.checkpoints import Checkpoints
from trainer.engine.metric_writers import Files
from trainer.io import fence, files
from trainer.io.fence import Fence, Fenced
from trainer.io.records import Record

RECORD = Record(1, "train", 0.0, {"loss": 1.0})


def test_every_writer_of_a_run_checks_the_fence(tmp_path, monkeypatch):
    run = tmp_path / "run"
    run.mkdir()
    owner = tmp_path / "worker"
    checkpoints = Checkpoints(str(run / "checkpoints"), keep=2)
    records = Files(str(run / "metrics.jsonl"), str(run / "tensorboard"), ReinforcementLearning())
    writes = (
        lambda: files.write_json(run / "result.json", {}),
        lambda: records.write(RECORD),
        lambda: checkpoints.save(1, {"step": tf.Variable(1)}, {}, {}, best_step=-1),
    )
    monkeypatch.setenv(fence.VARIABLE, Fence(str(owner), "a").to_variable())
    for content in ("b", None):
        owner.write_text(content) if content else owner.unlink()
        for write in writes:
            with pytest.raises(Fenced, match="another process has taken over"):
                write()
    assert list(run.iterdir()) == []
    owner.write_text("a")
    for write in writes:
        write()
    assert len(list(run.iterdir())) == 4
