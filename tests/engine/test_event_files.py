"""TensorBoard's event files, read with TensorBoard."""

import json
import math

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from trainer.cli.main import run
from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine.event_files import EventFiles
from trainer.io.records import Record, read_records


def read_events(folder):
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return events


def metrics_of(events):
    """Values by step and name: numbers, and the texts of tables."""
    return {
        (event.step, tag): tf.make_ndarray(event.tensor_proto)[()]
        for tag in events.Tags()["tensors"]
        for event in events.Tensors(tag)
        if "/" in tag and not tag.startswith("_hparams_")
    }


def expected_metrics(records, classes=()):
    """The same from metrics.jsonl; matrices are None."""
    expected = {}
    for record in records:
        for name, value in record.metrics.items():
            tag = f"{record.split}/{name}"
            if np.ndim(value) == 1:
                names = classes if len(value) == len(classes) else range(len(value))
                for element, number in zip(names, value, strict=True):
                    expected[record.step, f"{tag}/{element}"] = number
            else:
                expected[record.step, tag] = value if np.ndim(value) == 0 else None
    return expected


def check_same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if value is not None:
            np.testing.assert_allclose(found[key], value, rtol=1e-6, err_msg=str(key))


def write(folder, classes=(), **metrics):
    EventFiles(str(folder), ReinforcementLearning(), classes).write(Record(3, "eval", 0.0, metrics))
    return metrics_of(read_events(folder))


def test_a_list_has_a_scalar_for_each_element(tmp_path):
    found = write(tmp_path, ["cat", "dog", "owl"], recall=[1.0, 0.5, None], ci95=[2.0, math.inf])
    assert found == {
        (3, "eval/recall/cat"): 1.0,
        (3, "eval/recall/dog"): 0.5,
        (3, "eval/ci95/0"): 2.0,
        (3, "eval/ci95/1"): math.inf,
    }


def test_a_matrix_is_a_table(tmp_path):
    found = write(tmp_path, ["cat", "dog"], matrix=[[3.0, 1.0], [0.0, 12.0]])
    assert found[3, "eval/matrix"].decode().splitlines() == [
        "|  | cat | dog |",
        "| --- | --- | --- |",
        "| cat | 3 | 1 |",
        "| dog | 0 | 12 |",
    ]


def test_a_metric_of_very_many_values_is_left_out(tmp_path):
    found = write(tmp_path, recall=[0.0] * 101, matrix=[[0.0] * 51] * 51, loss=1.0)
    assert found == {(3, "eval/loss"): 1.0}


def test_names_and_missing_values_do_not_break_a_table(tmp_path):
    found = write(tmp_path, classes=["a|b", "c\nd"], matrix=[[1.0, None], [2.0, 3.0]])
    assert found[3, "eval/matrix"].decode().splitlines() == [
        "|  | a\\|b | c d |",
        "| --- | --- | --- |",
        "| a\\|b | 1 | – |",
        "| c d | 2 | 3 |",
    ]


def test_removing_leaves_files_of_other_runs(tmp_path):
    runs = [tmp_path / name for name in ("a?", "ab", "a[1]")]
    files = [EventFiles(str(run), ReinforcementLearning()) for run in runs]
    for each in files:
        each.write(Record(1, "train", 0.0, {"loss": 1.0}))
    files[0].remove()
    files[2].remove()
    assert [len(list(run.iterdir())) for run in runs] == [0, 1, 0]


def test_removing_leaves_other_files(tmp_path):
    trace = tmp_path / "plugins" / "profile" / "trace"
    trace.parent.mkdir(parents=True)
    trace.write_text("kept")
    files = EventFiles(str(tmp_path), ReinforcementLearning())
    files.write(Record(1, "train", 0.0, {"loss": 1.0}))
    files.remove()
    assert list(tmp_path.iterdir()) == [tmp_path / "plugins"]
    assert trace.read_text() == "kept"
    files.write(Record(2, "train", 0.0, {"loss": 1.0}))
    assert list(metrics_of(read_events(tmp_path))) == [(2, "train/loss")]


def test_configuration_and_hyperparameters_are_shown(tmp_path):
    write(tmp_path, loss=1.0)
    events = read_events(tmp_path)
    (event,) = events.Tensors("configuration")
    text = tf.make_ndarray(event.tensor_proto)[()].decode()
    body = text.removeprefix("```json\n").removesuffix("\n```")
    assert json.loads(body)["environment"]["name"] == "CartPole-v1"
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    found = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert found["environment.name"].string_value == "CartPole-v1"
    assert found["seed"].number_value == 0


def test_a_supervised_run_has_the_same_names_and_values_everywhere(tmp_path):
    arguments = (
        "--config=configs/digits_cnn.py", f"--workdir={tmp_path / 'run'}",
        "--config.train.steps=6", "--config.train.report_every=3",
        "--config.train.evaluate_every=3", "--config.model.filters=2",
        "--config.evaluate.metrics=loss,accuracy,recall_per_class,confusion_matrix",
    )  # fmt: skip
    assert run(["train", *arguments]) == 0
    found = metrics_of(read_events(tmp_path / "run" / "tensorboard"))
    records = read_records(tmp_path / "run" / "metrics.jsonl")
    check_same(found, expected_metrics(records, classes=[str(digit) for digit in range(10)]))
    assert {"train/loss", "eval/recall_per_class/9", "test/confusion_matrix"} <= {
        tag for _, tag in found
    }
    check_result(tmp_path / "run", records)


def test_an_agents_run_has_the_same_names_and_values_everywhere(tmp_path):
    arguments = (
        "--config=configs/cartpole_q_linear.py", f"--workdir={tmp_path / 'run'}", "--jit=off",
        "--config.train.steps=400", "--config.environment.time_limit=20",
        "--config.evaluate.episodes=5", "--config.evaluate.interim_episodes=5",
    )  # fmt: skip
    assert run(["train", *arguments]) == 0
    found = metrics_of(read_events(tmp_path / "run" / "tensorboard"))
    records = read_records(tmp_path / "run" / "metrics.jsonl")
    check_same(found, expected_metrics(records))
    assert {"train/loss", "eval/return_mean", "test/return_ci95/1"} <= {tag for _, tag in found}
    check_result(tmp_path / "run", records)


def check_result(workdir, records):
    """The names and values of result.json are those of the last record."""
    final = {f"{records[-1].split}/{name}": value for name, value in records[-1].metrics.items()}
    assert json.loads((workdir / "result.json").read_text())["metrics"] == final
