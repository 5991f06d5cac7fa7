"""Checks before a submission, and the command lines of every target."""

import re
import signal
import subprocess
import sys

import pytest

from trainer.cli.main import run
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
    "no bucket": ([*VERTEX, "--bucket=", "--workdir=gs://b/r"], "needs bucket"),
    "bucket with a path": ([*VERTEX, "--bucket=gs://b"], "without gs://"),
    "malformed TPU": ([*TPU, "--accelerator=v6e"], "for example v5litepod-8 or v6e-8"),
    "TPU with several hosts": ([*TPU, "--accelerator=v4-32"], "one TPU host"),
    "hosts of a TPU": ([*TPU, "--hosts=2"], "remove the setting hosts"),
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


def test_name_depends_on_the_command(capfd):
    def name(*arguments):
        return printed(capfd, *TPU, *arguments).partition("--node-id=")[2].split()[0]

    assert name() == name()
    assert len({name(), name("--config.seed=1"), name("--workdir=gs://b/other")}) == 3


def test_workdir_is_derived_from_the_bucket(capfd):
    text = printed(capfd, *VERTEX)
    name = text.partition("--display-name=")[2].split()[0]
    assert f"--workdir=gs://b/{name}|" in text


def test_strategy_of_the_user_has_precedence(capfd):
    text = printed(capfd, *GPU, "--strategy=mirrored", "--precision=float32")
    assert "--strategy=mirrored --precision=float32 --workdir=gs://b/r;" in text
    assert "--strategy=gpu" not in text


def test_several_gpus_use_mirrored_strategy(capfd):
    assert "--strategy=mirrored;" in printed(capfd, *GPU, "--accelerator=nvidia-l4:4")


SEARCH = ("--command=tune", "--search=configs/tune/digits.py", "--max_trials=8")


def test_search_sends_its_file_and_flags(capfd):
    text = printed(capfd, *VERTEX, *SEARCH)
    assert re.search(
        r"\^\|\^tune\|--config=/gcs/b/\S+/configs/digits_cnn.py"
        r"\|--search=/gcs/b/\S+/configs/tune/digits.py"
        r"\|--max_trials=8\|--workdir=gs://b/\S+\|--strategy=gpu",
        text,
    )
    assert text.count("gcloud storage cp") == 2
    for arguments in (TPU, GPU):
        text = printed(capfd, *arguments, *SEARCH)
        assert "configs/digits_cnn.py -C" in text.partition("tar ")[2].partition("\n")[0]
        assert "configs/tune/digits.py" in text.partition("tar ")[2].partition("\n")[0]
        assert "trainer tune --config=configs/digits_cnn.py --search=configs/tune/digits.py" in text


def test_search_gives_each_trial_one_gpu(capfd):
    text = printed(capfd, *GPU, "--accelerator=nvidia-l4:4", "--hosts=2", *SEARCH)
    assert text.count("--strategy=gpu;") == 2
    assert '"task": {"type": "worker", "index": 1}' in text


def test_search_for_an_agent_uses_several_hosts(capfd):
    agents = ("--config=configs/cartpole_dqn.py", *GPU, "--hosts=2", "--command=tune")
    assert run(["submit", *agents, "--search=configs/tune/cartpole.py", "--dry_run"]) == 0
    assert capfd.readouterr().out.count("trainer tune") == 2


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
    assert "trainer tune --config=configs/digits_cnn.py" in text


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
    # The plan of every target, and the modules of the runner.
    code = (
        "import sys; from trainer.cli.main import run; import trainer.cloud.execution;"
        f"status = run(['submit', '--dry_run', {CONFIG!r}, *{target!r}]);"
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
