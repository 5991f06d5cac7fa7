"""gs:// work and data directories, on a loopback emulator.

Needs root for a network namespace in which only the emulator can be reached.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
EMULATOR = ROOT / "tools" / "gcs_emulator.py"
PROGRAMS = ("unshare", "nsenter", "ip", "openssl")
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
SMALL = (
    "train",
    "--config=configs/digits_cnn.py",
    "--config.model.filters=8,8",
    "--config.model.units=16",
)
RUN = (*SMALL, "--config.train.steps=300", "--config.train.report_every=30")
BRIEF = ("--config.train.steps=20", "--config.train.global_batch_size=8")
COPY = """
import os, sys
from trainer.compat.keras import tf
source, target = sys.argv[1:]
for folder, _, files in tf.io.gfile.walk(source):
    below = target + folder.rstrip("/").removeprefix(source.rstrip("/"))
    tf.io.gfile.makedirs(below)
    for file in files:
        tf.io.gfile.copy(os.path.join(folder, file), os.path.join(below, file))
"""


class Cloud:
    """A network namespace that contains only gs://bucket."""

    def __init__(self, directory):
        self.directory = directory
        up = 'ip link set lo up && exec "$@"'
        self._server = subprocess.Popen(
            [
                "unshare",
                "--net",
                "sh",
                "-c",
                up,
                "sh",
                sys.executable,
                EMULATOR,
                directory,
                "bucket",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._environment = json.loads(self._server.stdout.readline())

    def close(self):
        self._server.kill()
        self._server.wait()

    def start(self, *arguments, **environment):
        """Starts Python in this namespace."""
        return subprocess.Popen(
            ["nsenter", f"--net=/proc/{self._server.pid}/ns/net", sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **self._environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def python(self, *arguments, **environment):
        """Runs Python in this namespace; returns exit status, output and errors."""
        process = self.start(*arguments, **environment)
        output, errors = process.communicate()
        return process.returncode, output, errors

    def trainer(self, *arguments, **environment):
        return self.python("-m", "trainer", *arguments, **environment)

    def copy(self, source, target):
        status, _, errors = self.python("-c", COPY, str(source), str(target))
        assert status == 0, errors


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    yield cloud
    cloud.close()


def records(workdir):
    """All records, without the time."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [{**json.loads(line), "time": None} for line in lines]


def test_other_hosts_are_unreachable(cloud):
    connect = "import socket; socket.create_connection(('1.1.1.1', 443), 5)"
    status, _, errors = cloud.python("-c", connect)
    assert status == 1
    assert "Network is unreachable" in errors


FILES = """
from trainer.errors import UserError
from trainer.io import files, paths, records

root = paths.to_path("gs://bucket/files")
files.write_json(root / "a.json", {"b": "é"})
files.write_json("gs://bucket/files/a.json", {"b": "ö"})
assert files.read_json(root / "a.json") == {"b": "ö"}
assert files.read_bytes(str(root / "a.json")).decode().startswith("{")
try:
    files.read_bytes("gs://bucket/files/none")
except UserError as error:
    assert str(error) == "no such file: gs://bucket/files/none", error
loss = [records.Record(step, "eval", 0.0, {"loss": 1.0 / step}) for step in (1, 2)]
for record in loss:
    records.append_record(root / "metrics.jsonl", record)
assert records.read_records(root / "metrics.jsonl") == loss
records.write_records(root / "metrics.jsonl", loss[:1])
assert records.read_records("gs://bucket/files/metrics.jsonl") == loss[:1]
assert sorted(path.name for path in root.iterdir()) == ["a.json", "metrics.jsonl"]
"""


def test_files_and_records(cloud):
    status, _, errors = cloud.python("-c", FILES)
    assert status == 0, errors


def test_killed_run_resumes_bit_for_bit(cloud, tmp_path, state_digest):
    assert cloud.trainer(*RUN, f"--workdir={tmp_path / 'local'}")[0] == 0
    killed = cloud.start("-m", "trainer", *RUN, "--workdir=gs://bucket/runs/digits")
    for line in killed.stderr:
        if line.startswith("step 120/300  train"):
            break
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL

    status, output, errors = cloud.trainer(*RUN, "--workdir=gs://bucket/runs/digits")
    assert status == 0, errors
    assert "resuming at step" in errors
    assert "finished: step 300" in output
    assert "finished at step" in cloud.trainer(*RUN, "--workdir=gs://bucket/runs/digits")[2]
    status, output, errors = cloud.trainer("evaluate", "--workdir=gs://bucket/runs/digits")
    assert status == 0, errors

    cloud.copy("gs://bucket/runs/digits", tmp_path / "copy")
    assert state_digest(tmp_path / "copy") == state_digest(tmp_path / "local")
    assert records(tmp_path / "copy") == records(tmp_path / "local")
    result = json.loads((tmp_path / "copy" / "result.json").read_text())
    assert json.loads(output)["metrics"]["loss"] == pytest.approx(result["metrics"]["test/loss"])
    assert len(list((tmp_path / "copy" / "tensorboard").iterdir())) == 1
    assert len(list((tmp_path / "copy" / "checkpoints").iterdir())) <= 3


def test_data_sources_read_from_a_bucket(cloud, tmp_path):
    import tensorflow_datasets as tfds

    class GsShades(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """Dark and bright squares."""

        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            label = tfds.features.ClassLabel(names=["dark", "bright"])
            image = tfds.features.Image(shape=(8, 8, 1))
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict({"image": image, "label": label})
            )

        def _split_generators(self, manager):
            del manager
            return {"train": self._examples(80), "test": self._examples(20)}

        def _generate_examples(self):
            raise NotImplementedError

        def _examples(self, count):
            for number in range(count):
                shade = 255 * (number % 2)
                pixels = np.full((8, 8, 1), max(0, shade - number), np.uint8)
                yield number, {"image": pixels, "label": number % 2}

    local = tmp_path / "data"
    GsShades(data_dir=str(local)).download_and_prepare()
    random = np.random.default_rng(0)
    for name, shade in (("night", 0), ("day", 150)):
        (local / "images" / name).mkdir(parents=True)
        for number in range(30):
            pixels = (shade + random.integers(0, 100, (8, 8))).astype(np.uint8)
            Image.fromarray(pixels).save(local / "images" / name / f"{number}.png")
    rows = [f"{a},{b},{int(a > b)}" for a, b in random.normal(size=(100, 2))]
    (local / "table.csv").write_text("\n".join(["a,b,label", *rows]) + "\n")
    cloud.copy(local, "gs://bucket/data")

    for kind, arguments in {
        "tfds": ("--config.data.name=gs_shades", "--data_dir=gs://bucket/data"),
        "image_folder": (
            "--config.data.path=gs://bucket/data/images",
            "--config.data.channels=1",
            "--config.data.residence=disk",
        ),
        "csv": ("--config.data.path=gs://bucket/data/table.csv", "--config.model.kind=mlp"),
    }.items():
        small = SMALL if kind != "csv" else SMALL[:2]
        status, _, errors = cloud.trainer(
            *small, *BRIEF, f"--config.data.kind={kind}", *arguments,
            f"--workdir=gs://bucket/runs/{kind}",
        )  # fmt: skip
        assert status == 0, errors


HYPERBAND = """
from trainer.tune.space import *


def get_search() -> Search:
    space = (LogUniform("optimizer.learning_rate", 1e-3, 1e-1),)
    return Search(Objective("eval/loss", "min"), space, Hyperband(shortest=30))
"""


def test_killed_search_resumes(cloud, tmp_path):
    (tmp_path / "search.py").write_text(HYPERBAND)
    arguments = (
        "-m", "trainer", "tune", *SMALL[1:], "--config.train.steps=90",
        f"--search={tmp_path / 'search.py'}", "--workdir=gs://bucket/search",
    )  # fmt: skip
    killed = cloud.start(*arguments)
    for line in killed.stderr:
        if line.startswith("trial 0001 begins"):
            break
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    status, output, errors = cloud.python(*arguments)
    assert status == 0, errors
    assert "1 of 6 trials done" in errors
    assert "6 of 6 done, 0 running, 0 failed" in errors
    assert "trainer train --config=gs://bucket/search/best/config.json" in output

    cloud.copy("gs://bucket/search", tmp_path / "copy")
    trials = json.loads((tmp_path / "copy" / "search.json").read_text())["trials"]
    continued = [trial["id"] for trial in trials if trial["continues"]]
    assert continued
    for trial_id in continued:
        log = (tmp_path / "copy" / "trials" / trial_id / "seed_0.log").read_text()
        assert "resuming at step 30" in log
    status, output, errors = cloud.trainer(
        "train", "--config=gs://bucket/search/best/config.json", "--workdir=gs://bucket/best"
    )
    assert status == 0, errors
    assert "test/accuracy" in output


def test_missing_bucket_is_an_error(cloud):
    status, _, errors = cloud.trainer(*RUN, "--workdir=gs://no-such-bucket/run")
    assert status == 2
    assert errors.startswith("error: bucket gs://no-such-bucket does not exist")
    assert len(errors.splitlines()) == 1
    arguments = ("--config=configs/digits_cnn.py", "--search=configs/tune/digits.py")
    status, _, errors = cloud.trainer("tune", *arguments, "--workdir=gs://no-such-bucket/search")
    assert status == 2
    assert errors.startswith("error: bucket gs://no-such-bucket does not exist")
    assert len(errors.splitlines()) == 1


def test_unreachable_bucket_is_an_error(cloud):
    status, _, errors = cloud.trainer(
        *RUN,
        "--workdir=gs://bucket/runs/none",
        HTTPS_PROXY="http://127.0.0.1:9",
        GCS_RETRY_CONFIG_MAX_RETRIES="1",
    )
    assert status == 2
    assert errors.startswith("error: cannot reach gs://bucket")


def test_doctor_checks_buckets(cloud):
    status, output, _ = cloud.trainer(
        "doctor", "--workdir=gs://bucket/new/run", "--data_dir=gs://bucket"
    )
    assert status == 0
    assert "ok    workdir     gs://bucket/new/run can be written" in output
    assert "ok    data_dir    gs://bucket can be read" in output
    assert "a-token-of-no-use" not in output
    status, output, _ = cloud.trainer("doctor", "--workdir=gs://no-such-bucket/run")
    assert status == 2
    assert "→ create it with: gcloud storage buckets create gs://no-such-bucket" in output


def test_only_storage_was_requested(cloud):
    hosts = set((cloud.directory / "hosts").read_text().split())
    assert hosts <= {"storage.googleapis.com", "www.googleapis.com"}
