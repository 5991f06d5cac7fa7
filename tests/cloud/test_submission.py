"""Checks before a submission, and the command lines of every target."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from trainer.cli.main import run
from trainer.cloud.google import prices
from trainer.config import loading
from trainer.engine import workdir
from trainer.engine.preemption import StopRequest

CONFIG = "--config=configs/digits_cnn.py"
TPU = ("--target=tpu-vm", "--zone=us-central2-b", "--accelerator=v6e-8", "--workdir=gs://b/run")
GPU = ("--target=gpu-vm", "--zone=us-central1-a", "--accelerator=nvidia-l4", "--workdir=gs://b/r")
VERTEX = (
    "--target=vertex",
    "--zone=us-central1-a",
    "--accelerator=nvidia-l4",
    "--bucket=b",
    "--image=i",
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, request):
    (tmp_path / "configs").symlink_to(request.config.rootpath / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


REFUSED = {
    "no target": ([], "unknown value of --target"),
    "unknown target": (["--target=gpu"], "Did you mean 'gpu-vm'?"),
    "unknown command": ([*TPU, "--command=trian"], "Did you mean 'train'?"),
    "unknown command, one dash": ([*TPU, "-command=trian"], "Did you mean 'train'?"),
    "unknown flag": ([*TPU, "--acelerator=v6e-8"], "Did you mean '--accelerator'?"),
    "junk": ([*TPU, "now"], "Received: now"),
    "wrong override": ([*TPU, "--config.train.epoch=1"], "Did you mean 'train.epochs'?"),
    "local work directory": ([*TPU, "--workdir=runs/x"], "--workdir=gs://"),
    "no bucket's name": ([*TPU, "--workdir=gs://"], "--workdir=gs://…"),
    "no work directory": ([*TPU[:-1]], "--workdir=gs://BUCKET/FOLDER, or bucket="),
    "no accelerator": ([*TPU, "--accelerator="], "needs accelerator"),
    "no zone": ([*TPU, "--zone="], "needs zone"),
    "no region": ([*VERTEX, "--zone="], "needs region"),
    "no image": ([*VERTEX, "--image="], "needs image"),
    "bucket with a path": ([*VERTEX, "--bucket=gs://b"], "without gs://"),
    "malformed TPU": ([*TPU, "--accelerator=v6e"], "for example v5litepod-8 or v6e-8"),
    "TPU with several hosts": ([*TPU, "--accelerator=v4-32"], "one TPU host"),
    "hosts of a TPU": ([*TPU, "--hosts=2"], "unknown setting of --target=tpu-vm"),
    "image of a GPU VM": ([*GPU, "--image=i"], "unknown setting of --target=gpu-vm"),
    "remote configuration that does not exist": (
        ["--target=kubernetes", "--image=i", "--workdir=gs://b/r", "--accelerator=v5p-64"],
        "a TPU slice with one host",
    ),
    "local data": (
        [*GPU, "--config.data.kind=csv", "--config.data.path=t.csv"],
        "reads data from a bucket",
    ),
    "no data directory": (
        [*GPU, "--config.data.kind=tfds", "--config.data.name=mnist"],
        "--data_dir=gs://",
    ),
    "local data directory": ([*GPU, "--data_dir=/data"], "Received: '/data'"),
    "negative restarts": ([*TPU, "--max_restarts=-1"], "max_restarts"),
    "no hours": ([*TPU, "--max_hours=0"], "max_hours"),
    "endless": ([*TPU, "--max_hours=inf"], "max_hours"),
    "no number of hours": ([*TPU, "--max_hours=nan"], "max_hours"),
    "limit of an unknown price": (
        [*GPU, "--accelerator=nvidia-b200:8", "--machine_type=a4-highgpu-8g", "--max_cost=9"],
        "the price of these machines is unknown: remove --max_cost=9",
    ),
    "limit of the cost of a container": (
        ["--target=docker", "--max_cost=9"],
        "--target=docker rents no machines itself: remove --max_cost",
    ),
    "container that is detached": (
        ["--target=docker", "--detach"],
        "--target=docker rents no machines itself: remove --detach",
    ),
    "missing settings": ([*TPU, "--settings=x.toml"], "--settings=x.toml: no such file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_input_is_one_line_and_creates_nothing(name, here, capfd):
    arguments, expected = REFUSED[name]
    assert run(["submit", CONFIG, *arguments]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert expected in line
    assert [path.name for path in here.iterdir()] == ["configs"]


def test_agents_train_on_one_host_without_tpu(capfd):
    for arguments, expected in (
        (TPU, "agents do not run on TPUs"),
        ((*GPU, "--hosts=2"), "agents train on one host"),
    ):
        assert run(["submit", "--config=configs/cartpole_dqn.py", *arguments]) == 2
        assert expected in capfd.readouterr().err
    assert run(["submit", "--config=configs/cartpole_dqn.py", *GPU, "--dry_run"]) == 0
    assert "--config=configs/cartpole_dqn.py" in capfd.readouterr().out


def test_missing_program_is_an_error(monkeypatch, capfd):
    monkeypatch.setenv("PATH", "/nowhere")
    for target, program in ((TPU, "gcloud"), (("--target=docker", "--workdir=run"), "docker")):
        assert run(["submit", CONFIG, *target]) == 2
        assert f"needs {program}, which is not installed; --dry_run" in capfd.readouterr().err


def printed(capfd, *arguments):
    assert run(["submit", CONFIG, "--dry_run", *arguments]) == 0
    return capfd.readouterr().out


def record(text):
    """The record of the job in the output of a dry run."""
    (content,) = re.findall(r"printf %s '(\{\n \"id\".*?\n\}\n)' \|", text, re.DOTALL)
    return json.loads(content.replace("'\\''", "'"))


def test_name_depends_on_the_command(capfd):
    def digest(*arguments):
        return record(printed(capfd, *TPU, *arguments))["digest"]

    assert digest() == digest()
    assert len({digest(), digest("--config.seed=1"), digest("--workdir=gs://b/other")}) == 3


def test_each_submission_has_files_of_its_own(capfd):
    assert record(printed(capfd, *TPU))["id"] != record(printed(capfd, *TPU))["id"]


def test_workdir_is_derived_from_the_bucket(capfd):
    job = record(printed(capfd, *VERTEX))
    assert job["workdir"] == f"gs://b/{job['id'].rpartition('-')[0]}"
    assert f"--workdir={job['workdir']}" in job["arguments"]


def test_docker_writes_to_a_local_folder_by_default(capfd):
    text = printed(capfd, "--target=docker")
    (folder,) = re.findall(r"--workdir=(runs/trainer-digits-cnn-\w+)", text)
    assert f"{os.getcwd()}/{folder}:rw" in text


def test_strategy_of_the_user_has_precedence(capfd):
    job = record(printed(capfd, *GPU, "--strategy=mirrored", "--precision=float32"))
    flags = ["--strategy=mirrored", "--precision=float32"]
    assert job["arguments"] == ["train", CONFIG, *flags, "--workdir=gs://b/r"]


def test_several_gpus_use_mirrored_strategy(capfd):
    job = record(printed(capfd, *GPU, "--accelerator=nvidia-l4:4"))
    assert job["arguments"][-1] == "--strategy=mirrored"


SEARCH = ("--command=tune", "--search=configs/tune/digits.py", "--max_trials=8")


@pytest.mark.parametrize("target", [TPU, GPU, VERTEX], ids=lambda target: target[0])
def test_search_sends_its_file_and_flags(capfd, target):
    text = printed(capfd, *target, *SEARCH)
    job = record(text)
    assert job["arguments"][:4] == [
        "tune", CONFIG, "--search=configs/tune/digits.py", "--max_trials=8",
    ]  # fmt: skip
    (packing,) = re.findall("^tar .*", text, re.MULTILINE)
    assert packing.endswith("/configs/tune/digits.py") or " configs/tune/digits.py" in packing
    assert ("setup.py" in packing) == (target is not VERTEX)


def test_search_gives_each_trial_one_gpu(capfd):
    job = record(printed(capfd, *GPU, "--accelerator=nvidia-l4:4", "--hosts=2", *SEARCH))
    assert job["arguments"][-1] == "--strategy=gpu"


def test_search_for_an_agent_uses_several_hosts(capfd):
    agents = ("--config=configs/cartpole_dqn.py", *GPU, "--hosts=2", "--command=tune")
    assert run(["submit", *agents, "--search=configs/tune/cartpole.py", "--dry_run"]) == 0
    (machines,) = re.findall(r'"machines": \["(\S+)-0", "(\S+)-1"\]', capfd.readouterr().out)
    assert machines[0] == machines[1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((*TPU, "--command=tune"), "--search=FILE"),
        ((*TPU, *SEARCH, "--search=configs/tune/x.py"), "unknown configuration file"),
        ((*TPU, *SEARCH, "--search=configs/tune/cartpole.py"), "unknown objective"),
        ((*TPU, "--search=configs/tune/digits.py"), "unknown flag"),
    ],
)
def test_invalid_search_is_refused(arguments, expected, capfd):
    assert run(["submit", CONFIG, *arguments, "--dry_run"]) == 2
    assert expected in capfd.readouterr().err


def test_flags_may_have_one_dash(capfd):
    text = printed(capfd, *TPU, *(word.replace("--command", "-command") for word in SEARCH))
    assert record(text)["arguments"][:2] == ["tune", CONFIG]


def test_modules_of_the_configuration_are_packed(here, capfd):
    (here / "mine.py").write_text("import shared\ndef get_config():\n    return shared.digits()\n")
    source = (here / "configs" / "digits_cnn.py").read_text().replace("get_config", "digits")
    (here / "shared.py").write_text(source)
    sys.path.insert(0, str(here))
    try:
        assert run(["submit", "--config=mine.py", "--dry_run", *GPU]) == 0
    finally:
        sys.path.remove(str(here))
        sys.modules.pop("shared", None)
    packing = re.findall("^tar .*", capfd.readouterr().out, re.MULTILINE)[0].split()
    assert packing[-6:] == ["-C", str(here), "mine.py", "-C", str(here), "shared.py"]


def test_configuration_in_a_bucket_is_not_sent(capfd, monkeypatch):
    experiment = loading.load("configs/digits_cnn.py")
    # Reading a bucket is tested in tests/io.
    monkeypatch.setattr(workdir, "read_experiment", {"gs://b/best.json": experiment}.__getitem__)
    remote = "--config=gs://b/best.json"
    assert run(["submit", remote, "--config.seed=3", "--dry_run", *VERTEX]) == 0
    text = capfd.readouterr().out
    assert record(text)["arguments"][:3] == ["train", remote, "--config.seed=3"]
    assert "best.json" not in re.findall("^tar .*", text, re.MULTILINE)[0]


def test_data_for_the_test_must_be_in_a_bucket_too(capfd):
    data = ("--config.data.kind=csv", "--config.data.path=gs://b/t.csv")
    arguments = [*GPU, *data, "--config.data.test_path=here.csv"]
    assert run(["submit", CONFIG, "--dry_run", *arguments]) == 2
    assert "reads data from a bucket: copy it to gs://" in capfd.readouterr().err


def test_cost_is_printed_and_limited(capfd):
    first = printed(capfd, *GPU, "--max_hours=10").splitlines()[0]
    price = prices.hourly("g2-standard-8", spot=True)
    assert f"about ${price:.2f} per hour, at most about ${10 * price:.2f}" in first
    limited = printed(capfd, *GPU, "--max_hours=10", "--max_cost=1", "--hosts=2")
    assert "at most about $1.00 for --max_cost=1" in limited.splitlines()[0]
    (seconds,) = re.findall(r'"max_seconds": ([\d.]+),', limited.partition("create ")[0])
    assert float(seconds) == pytest.approx(3600 / (2 * price))


def test_warnings_about_unknown_machines_are_shown(capfd):
    arguments = ("--accelerator=nvidia-h200-141gb:8", "--machine_type=a3-ultragpu-8g")
    assert run(["submit", CONFIG, *GPU, *arguments, "--dry_run"]) == 0
    assert "warning: the table of" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("before", "stops"), [(signal.SIG_DFL, True), (signal.SIG_IGN, False)], ids=["shell", "nohup"]
)
def test_closed_terminal_stops_the_submission_but_not_under_nohup(before, stops):
    restored = signal.signal(signal.SIGHUP, before)
    try:
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGHUP)
        assert stop.requested == stops
    finally:
        signal.signal(signal.SIGHUP, restored)


def test_secrets_in_arguments_are_redacted(capfd, monkeypatch):
    monkeypatch.setenv("BUCKET_TOKEN", "very-secret-token")
    assert "very-secret-token" not in printed(capfd, *TPU, "--workdir=gs://b/very-secret-token")


@pytest.mark.parametrize("target", [TPU, GPU, VERTEX], ids=lambda target: target[0])
def test_submit_does_not_import_tensorflow(target):
    # The commands of every target, and the modules that run them.
    code = (
        "import sys; from trainer.cli.main import run; import trainer.cloud.controller;"
        f"status = run(['submit', '--dry_run', {CONFIG!r}, *{target!r}]);"
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
