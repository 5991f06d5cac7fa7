import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.cloud import skypilot
from trainer.cloud.job import Job
from trainer.cloud.skypilot import SkyPilotSettings
from trainer.errors import UserError

JOB = Job(
    command="train",
    task="supervised",
    files=(("config", "configs/digits_cnn.py"),),
    arguments=("--config.seed=1",),
    workdir="gs://b/run",
    strategy_given=False,
    name="trainer-digits-cnn-0123abcd",
)
AGENT = dataclasses.replace(JOB, task="rl")
ROOT = Path(__file__).parent.parent.parent
SKY = shutil.which("sky")
CASES = {
    "cpu": {},
    "gpus": {"accelerator": "nvidia-l4:2", "infra": "gcp/us-central1", "spot": False},
    "other cloud": {"accelerator": "A10G:1", "infra": "aws"},
    "hosts and image": {"accelerator": "nvidia-a100-80gb", "hosts": 2, "image": "r.pkg.dev/i:1"},
    "tpu": {"accelerator": "v5litepod-8", "infra": "gcp/us-central1/us-central1-a"},
}


@pytest.fixture(autouse=True)
def _root(monkeypatch):
    monkeypatch.chdir(ROOT)


def write(job=JOB, max_hours=24.0, max_restarts=0, **changes):
    chosen = SkyPilotSettings(**changes)
    return skypilot.task(job, chosen, max_hours=max_hours, max_restarts=max_restarts)


def task(job=JOB, **changes):
    return yaml.safe_load(write(job, **changes))


# Prints what SkyPilot makes of each file.
READ = """
import json, sys
import sky
for path in sys.argv[1:]:
    task = sky.Task.from_yaml(path)
    (resources,) = task.resources
    print(json.dumps({
        "run": task.run, "setup": task.setup, "envs": task.envs, "num_nodes": task.num_nodes,
        "mounts": task.file_mounts, "accelerators": resources.accelerators,
        "arguments": resources.accelerator_args, "use_spot": resources.use_spot,
        "recovery": resources.job_recovery, "labels": resources.labels,
        "infra": resources.infra.to_str(),
    }))
"""


@pytest.mark.skipif(SKY is None, reason="needs sky")
def test_skypilot_reads_what_is_written(tmp_path):
    paths = []
    awkward = dataclasses.replace(JOB, arguments=("--a=$HOME ${PYTHONUNBUFFERED} 'é\"", "--b=\n{}"))
    for number, changes in enumerate(CASES.values()):
        paths.append(tmp_path / f"{number}.yaml")
        paths[-1].write_text(write(awkward, max_restarts=2, **changes))
    argv = [Path(SKY).resolve().parent / "python", "-c", READ, *paths]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cases = zip(done.stdout.splitlines(), paths, CASES.values(), strict=True)
    for line, path, changes in cases:
        read, written = json.loads(line), yaml.safe_load(path.read_text())
        assert read["run"] == written["run"]
        assert read["setup"] == written["setup"]
        assert read["mounts"] == written["file_mounts"]
        assert read["num_nodes"] == changes.get("hosts", 1)
        assert read["use_spot"] is changes.get("spot", True)
        assert read["envs"]["PYTHONUNBUFFERED"] == "1"
        assert read["labels"] == {"made-by": "trainer"}
        recovery = {"max_restarts_on_errors": 2, "recover_on_exit_codes": [75]}
        assert read["recovery"].items() >= recovery.items()
        assert (read["infra"] or "") == changes.get("infra", read["infra"] or "")
        expected = written["resources"].get("accelerators")
        if expected is None:
            assert read["accelerators"] is None
        else:
            kind, _, count = expected.partition(":")
            assert read["accelerators"] == {kind: int(count or 1)}
        arguments = written["resources"].get("accelerator_args")
        if arguments:
            assert read["arguments"].items() >= arguments.items()


@pytest.mark.parametrize(
    ("changes", "accelerators", "lock", "flags"),
    [
        ({}, None, "cpu", "--strategy=cpu"),
        ({"accelerator": "nvidia-l4"}, "L4:1", "gpu", "--strategy=gpu"),
        ({"accelerator": "nvidia-a100-80gb:4"}, "A100-80GB:4", "gpu", "--strategy=mirrored"),
        ({"accelerator": "A10G:1"}, "A10G:1", "gpu", "--strategy=gpu"),
        ({"accelerator": "v6e-1"}, "tpu-v6e-1", "tpu", "--strategy=tpu --tpu=local"),
        ({"accelerator": "L4", "hosts": 2}, "L4:1", "gpu", "--strategy=multi_worker"),
    ],
)
def test_accelerators_locks_and_strategies(changes, accelerators, lock, flags):
    found = task(**changes)
    assert found["resources"].get("accelerators") == accelerators
    assert f"-r requirements/{lock}.txt" in found["setup"]
    assert (ROOT / "requirements" / f"{lock}.txt").is_file()
    assert found["run"].endswith(f" --workdir=gs://b/run {flags}\n")


def test_tpus_have_the_software_version_of_trainer():
    resources = task(accelerator="v5litepod-8")["resources"]
    assert resources["accelerator_args"] == {
        "tpu_vm": True,
        "runtime_version": "v2-alpha-tpuv5-lite",
    }


def test_code_and_files_are_copied():
    mounts = task()["file_mounts"]
    folder = f"~/{JOB.name}"
    assert mounts == {
        **{
            f"{folder}/{name}": str(ROOT / name)
            for name in ("setup.py", "pyproject.toml", "requirements", "trainer")
        },
        f"{folder}/configs/digits_cnn.py": str(ROOT / "configs/digits_cnn.py"),
    }
    assert all(Path(path).exists() for path in mounts.values())
    assert set(task(image="i")["file_mounts"]) == {f"{folder}/configs/digits_cnn.py"}


PRINT = '#!/bin/sh\nprintf "%s\\0" "$TF_CONFIG" "$@"\n'
# Like the real one: passes only what it is told to.
SUDO = """#!/bin/sh
keep=
case "$1" in --preserve-env=*) keep="TF_CONFIG=$TF_CONFIG"; shift;; esac
exec env -i PATH="$PATH" ${keep:+"$keep"} "$@"
"""


def run_task(home, job, rank=0, shell="bash", **changes):
    """Executes the task's `run` with programs that print; returns TF_CONFIG and arguments."""
    environment = {
        "HOME": str(home),
        "PATH": f"{home}/bin:{os.environ['PATH']}",
        "SKYPILOT_NODE_IPS": "10.0.0.5\n10.0.0.2\n10.0.0.9",
        "SKYPILOT_NODE_RANK": str(rank),
    }
    programs = (
        (home / job.name / ".venv" / "bin" / "trainer", PRINT),
        (home / "bin" / "docker", PRINT),
        (home / "bin" / "sudo", SUDO),
    )
    for path, text in programs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    argv = [shell, "-c", task(job, **changes)["run"]]
    done = subprocess.run(argv, env=environment, check=True, capture_output=True)
    tf_config, *arguments = done.stdout.decode().split("\0")[:-1]
    return tf_config, arguments


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("image", ["", "i:1"])
def test_tf_config_of_each_node(shell, image, tmp_path):
    tf_config, arguments = run_task(tmp_path, JOB, 2, shell, hosts=3, image=image)
    assert json.loads(tf_config) == {
        "cluster": {"worker": ["10.0.0.5:2222", "10.0.0.2:2222", "10.0.0.9:2222"]},
        "task": {"type": "worker", "index": 2},
    }
    if image:
        assert "--env=TF_CONFIG" in arguments
    tf_config, _ = run_task(tmp_path, JOB, 0, shell, image=image)
    assert tf_config == ""


def test_image_is_run_by_docker_on_the_machine(tmp_path):
    changes = {"image": "r.pkg.dev/i:1", "accelerator": "nvidia-l4"}
    _, arguments = run_task(tmp_path, JOB, **changes)
    split = arguments.index("r.pkg.dev/i:1")
    assert arguments[: split + 1] == [
        *("run", "--rm", "--init", "--user=0:0", "--network=host", "--ipc=host"),
        f"--volume={tmp_path}/{JOB.name}:/job:ro",
        *("--workdir=/job", "--gpus=all", "--env=PYTHONUNBUFFERED=1", "r.pkg.dev/i:1"),
    ]
    assert tuple(arguments[split + 1 :]) == JOB.argv("/job", ("--strategy=gpu",))
    assert "docker pull" in task(**changes)["setup"]
    _, arguments = run_task(tmp_path, JOB, image="i", accelerator="v6e-1")
    assert "--ulimit=memlock=-1" in arguments
    assert "--privileged" not in arguments


def test_the_time_limit_stops_a_start(tmp_path):
    assert "timeout --kill-after=120 5400 " in task(max_hours=1.5)["run"]
    run = task(max_hours=1 / 3600)["run"]
    program = tmp_path / JOB.name / ".venv" / "bin" / "trainer"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\ntrap 'echo saved; exit 75' TERM\nsleep 30 & wait\n")
    program.chmod(0o755)
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(["bash", "-c", run], env=environment, capture_output=True, text=True)
    # Not 75, which SkyPilot would recover from.
    assert (done.returncode, done.stdout) == (124, "saved\n")


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.text(
    "a $()\"'\\`,;&|\n\té😀*~#!{}"
)


@settings(max_examples=40, deadline=None)
@given(arguments=st.lists(WORDS), image=st.sampled_from(["", "i:1"]), hosts=st.integers(1, 2))
def test_arguments_arrive_unchanged(arguments, image, hosts, tmp_path_factory):
    job = dataclasses.replace(JOB, arguments=tuple(arguments))
    changes = {"image": image, "hosts": hosts, "accelerator": "L4"}
    _, found = run_task(tmp_path_factory.mktemp("home"), job, **changes)
    if image:
        found = found[found.index(image) + 1 :]
    assert tuple(found) == job.argv("/job" if image else "", (found[-1],))


@pytest.mark.parametrize(
    ("job", "changes", "message"),
    [
        (JOB, {"accelerator": "v5litepod-16"}, "TPU slice with one host.*Received: 'v5litepod-16'"),
        (JOB, {"accelerator": "tpu-v6e-8"}, "TPU slice with one host.*Received: 'tpu-v6e-8'"),
        (JOB, {"accelerator": "L4:0"}, "accelerator must be.*Received: 'L4:0'"),
        (JOB, {"accelerator": "v6e-8", "hosts": 2}, "one host here.*Received: hosts=2"),
        (AGENT, {"accelerator": "v6e-8"}, "agents do not run on TPUs"),
        (AGENT, {"hosts": 2}, "agents train on one host"),
        (JOB, {"image": "i:1", "infra": "k8s/c"}, "--target=kubernetes. Received: 'i:1'"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(job, changes, message):
    with pytest.raises(UserError, match=message) as raised:
        task(job, **changes)
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(SKY is None, reason="needs sky")
@pytest.mark.parametrize(
    "argv",
    [
        skypilot.launch_command(JOB, "task.yaml"),
        skypilot.log_command(JOB),
        skypilot.cancel_command(JOB),
    ],
    ids=["launch", "log", "cancel"],
)
def test_sky_knows_the_flags(argv, tmp_path):
    """A flag that does not exist is an error even with --help."""
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run([*argv, "--help"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    help_text = done.stdout
    for word in argv[3:]:
        if word.startswith("--"):
            assert word.partition("=")[0] in help_text
