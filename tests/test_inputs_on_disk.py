"""Training on examples that are read from disk is training on those in memory, bit for bit."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.cli.main import run
from trainer.compat.keras import tf

ROOT = Path(__file__).parents[1]
COUNT = 120
SETTINGS = (
    "--config.model.filters=4",
    "--config.model.units=8",
    "--config.train.steps=40",
    "--config.train.global_batch_size=8",
    "--config.train.report_every=10",
    "--config.train.evaluate_every=20",
    "--config.train.checkpoint_every=5",
)


def pixels(number):
    return np.random.default_rng(number).integers(0, 256, (9, 8, 3), np.uint8)


def write_folder(path):
    for number in range(COUNT):
        folder = path / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(number)).save(folder / f"{number}.png")


def write_records(path):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in range(COUNT):
            image = tf.io.encode_png(pixels(number)).numpy()
            features = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 2])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString(deterministic=True))


def rows():
    random = np.random.default_rng(0)
    for number in range(COUNT):
        amount = "" if number % 9 == 0 else f"{random.normal():.3f}"
        yield {"amount": amount, "kind": "xyz"[number % 3], "label": ["no", "yes"][number % 2]}


def write_csv(path):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, ["amount", "kind", "label"])
        writer.writeheader()
        writer.writerows(rows())


def write_parquet(path):
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_pylist(
        [{**row, "amount": float(row["amount"]) if row["amount"] else None} for row in rows()]
    )
    parquet.write_table(table, path, row_group_size=17)


WRITERS = {
    "image_folder": write_folder,
    "tfrecord": write_records,
    "csv": write_csv,
    "parquet": write_parquet,
}


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """A function: the arguments of a run on the data of a source."""
    monkeypatch.setenv("TRAINER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(ROOT)

    def make(kind, residence, *more):
        data = tmp_path / f"data.{kind}"
        if not data.exists():
            WRITERS[kind](data)
        model = "mlp" if kind in ("csv", "parquet") else "cnn"
        return (
            "train",
            "--config=configs/digits_cnn.py",
            f"--config.model.kind={model}",
            f"--config.data.kind={kind}",
            f"--config.data.path={data}",
            f"--config.data.residence={residence}",
            f"--workdir={tmp_path / residence}",
            *(each for each in SETTINGS if model == "cnn" or "filters" not in each),
            *more,
        )

    return make


REPLICAS = {1: (), 2: ("--strategy=mirrored", "--virtual_devices=2", "--precision=float32")}


@pytest.mark.parametrize(
    ("kind", "replicas"),
    [(kind, 1) for kind in WRITERS] + [("image_folder", 2), ("csv", 2)],
)
def test_both_residences_train_alike(
    kind, replicas, arguments, tmp_path, progress, state_digest, capsys
):
    for residence in ("memory", "disk"):
        assert run(arguments(kind, residence, *REPLICAS[replicas])) == 0, capsys.readouterr().err
    assert state_digest(tmp_path / "disk") == state_digest(tmp_path / "memory")
    assert progress.records(tmp_path / "disk") == progress.records(tmp_path / "memory")
    signatures = [(tmp_path / name / "signature.json").read_text() for name in ("memory", "disk")]
    assert signatures[0] == signatures[1]


@pytest.mark.parametrize("kind", ["image_folder", "tfrecord"])
def test_a_killed_run_on_disk_ends_like_one_in_memory(
    kind, arguments, tmp_path, start, progress, state_digest, capsys
):
    length = ("--config.train.steps=300",)
    assert run(arguments(kind, "memory", *length)) == 0, capsys.readouterr().err
    killed = start(*arguments(kind, "disk", *length))
    progress.wait_for_step(tmp_path / "disk", 30, killed)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    again = start(*arguments(kind, "disk", *length))
    _, errors = again.communicate()
    assert again.returncode == 0, errors
    assert "resuming at step" in errors
    assert state_digest(tmp_path / "disk") == state_digest(tmp_path / "memory")
    assert progress.records(tmp_path / "disk") == progress.records(tmp_path / "memory")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["image_folder", "tfrecord", "csv"])
def test_two_workers_read_their_shares_from_disk(
    kind, arguments, tmp_path, start, free_ports, progress, state_digest
):
    for residence in ("memory", "disk"):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        workers = [
            start(
                *arguments(kind, residence, "--strategy=multi_worker", "--precision=float32"),
                TF_CONFIG=json.dumps(
                    {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
                ),
            )
            for index in range(2)
        ]
        for worker in workers:
            _, errors = worker.communicate(timeout=200)
            assert worker.returncode == 0, errors
    assert state_digest(tmp_path / "disk") == state_digest(tmp_path / "memory")
    assert progress.records(tmp_path / "disk") == progress.records(tmp_path / "memory")


GROUPS = Path("/sys/fs/cgroup/memory")


@pytest.mark.slow
@pytest.mark.skipif(
    not os.access(GROUPS / "cgroup.procs", os.W_OK), reason="no control groups of version 1"
)
def test_memory_stays_below_a_quarter_of_the_data(arguments, tmp_path):
    """13,000 images of 320x320 are 4 GB of pixels; the process may have 1 GB, files included."""
    folder = tmp_path / "data.image_folder"
    for number in range(13_000):
        target = folder / "ab"[number % 2]
        target.mkdir(parents=True, exist_ok=True)
        color = np.random.default_rng(number).integers(0, 256, (2, 2, 3), np.uint8)
        Image.fromarray(color).resize((320, 320)).save(target / f"{number}.jpg")
    limit = 2**30
    assert 3.7 * limit < 13_000 * 320 * 320 * 3
    group = GROUPS / f"trainer_test_{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(limit))
        command = arguments("image_folder", "auto", "--config.train.global_batch_size=32")
        command = (*command, "--config.evaluate.batch_size=32")
        done = subprocess.run(
            [sys.executable, "-m", "trainer", *command, "--config.model.filters=4,4,4"],
            preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "it is read from disk" in done.stderr
        assert "oom_kill 0" in (group / "memory.oom_control").read_text()
        assert int((group / "memory.max_usage_in_bytes").read_text()) <= limit
    finally:
        group.rmdir()
