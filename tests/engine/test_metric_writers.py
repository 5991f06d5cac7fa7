import json
import math

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine.metric_writers import Files, Memory
from trainer.io.records import Record, read_records


def record(step, split="train", **metrics):
    return Record(step, split, 0.0, metrics or {"loss": 1.0 / step})


def make_files(folder, **settings):
    return Files(str(folder / "m.jsonl"), str(folder / "tb"), ReinforcementLearning(), **settings)


def scalars(folder):
    """Values in the event files by name and step."""
    events = EventAccumulator(str(folder / "tb"))
    events.Reload()
    return {
        (tag, event.step): float(tf.make_ndarray(event.tensor_proto))
        for tag in events.Tags()["tensors"]
        for event in events.Tensors(tag)
        if "/" in tag and not tag.startswith("_hparams_")
    }


def test_json_lines_and_event_files_hold_the_same(tmp_path):
    files = make_files(tmp_path)
    files.write(record(1, loss=0.5, accuracy=0.25))
    files.write(record(2, "eval", loss=0.125))
    lines = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert lines[0] == {
        "step": 1,
        "split": "train",
        "time": 0.0,
        "metrics": {"loss": 0.5, "accuracy": 0.25},
    }
    assert scalars(tmp_path) == {
        ("train/loss", 1): 0.5,
        ("train/accuracy", 1): 0.25,
        ("eval/loss", 2): 0.125,
    }


def test_values_that_are_not_finite_are_valid_json(tmp_path):
    files = make_files(tmp_path)
    files.write(record(1, loss=math.nan, interval=[1.0, math.inf]))
    (line,) = (tmp_path / "m.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=None)["metrics"] == {
        "loss": None,
        "interval": [1.0, None],
    }
    assert "NaN" not in line


def test_rewinding_removes_later_steps_everywhere(tmp_path):
    files = make_files(tmp_path)
    for step in range(1, 6):
        files.write(record(step))
    with (tmp_path / "m.jsonl").open("a") as file:
        file.write('{"step": 6, "spl')  # a kill in the middle of a line
    again = make_files(tmp_path)
    assert again.rewind(3) == 0
    again.write(record(4))
    assert [r.step for r in read_records(str(tmp_path / "m.jsonl"))] == [1, 2, 3, 4]
    assert [step for _, step in scalars(tmp_path)] == [1, 2, 3, 4]


def test_damaged_lines_are_removed_and_counted(tmp_path):
    files = make_files(tmp_path)
    for step in range(1, 6):
        files.write(record(step))
    lines = (tmp_path / "m.jsonl").read_bytes().splitlines(keepends=True)
    lines[1] = b"\xff\x00{\n"
    lines[3] = b'["step"]\n'
    (tmp_path / "m.jsonl").write_bytes(b"".join(lines))
    assert [r.step for r in read_records(tmp_path / "m.jsonl")] == [1, 3, 5]
    assert files.rewind(4) == 2
    assert [r.step for r in read_records(tmp_path / "m.jsonl")] == [1, 3]


def test_memory_rewinds_too():
    memory = Memory()
    for step in (1, 2, 3):
        memory.write(record(step))
    memory.rewind(2)
    assert [r.step for r in memory.records] == [1, 2]
