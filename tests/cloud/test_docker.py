import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from trainer.cli.main import run
from trainer.cloud.docker import default_workdir

CONFIG = "--config=configs/digits_cnn.py"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, request):
    (tmp_path / "configs").symlink_to(request.config.rootpath / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "me")
    return tmp_path


@pytest.fixture
def install_docker(here, monkeypatch):
    """A function that puts a script named docker on PATH."""
    (here / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{here / 'bin'}:{os.environ['PATH']}")

    def install(script):
        path = here / "bin" / "docker"
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(0o755)

    return install


def docker_words(capfd, *arguments):
    assert run(["submit", CONFIG, "--dry_run", "--target=docker", *arguments]) == 0
    text = capfd.readouterr().out
    (line,) = [line for line in text.splitlines() if line.startswith("docker run ")]
    return shlex.split(line)


def test_docker_mounts_paths_unchanged(here, capfd):
    (here / "data").mkdir()
    words = docker_words(capfd, "--workdir=runs/x", "--gpus=all", "--data_dir=data", "--image=i:1")
    name = words[4].removeprefix("--name=")
    assert words == [
        *("docker", "run", "--rm", "--init", f"--name={name}", f"--workdir={here}"),
        *("--no-healthcheck", "--shm-size=1g", f"--user={os.getuid()}:{os.getgid()}"),
        *("--env=HOME=/tmp", "--env=USER=me", "--env=TPU_SKIP_MDS_QUERY=1"),
        *("--gpus=all", f"--volume={here}/runs/x:{here}/runs/x:rw"),
        f"--volume={here}/configs/digits_cnn.py:{here}/configs/digits_cnn.py:ro",
        f"--volume={here}/data:{here}/data:ro",
        *("i:1", "train", CONFIG, "--data_dir=data", "--workdir=runs/x"),
    ]


def test_docker_mounts_credentials_for_a_bucket(here, capfd, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(here / "key.json"))
    (here / "key.json").write_text("{}")
    words = docker_words(capfd, "--workdir=gs://b/run")
    assert f"--volume={here}/key.json:{here}/key.json:ro" in words
    assert f"--env=GOOGLE_APPLICATION_CREDENTIALS={here}/key.json" in words
    assert not [word for word in docker_words(capfd, "--workdir=run") if "key.json" in word]


def test_user_of_rootless_docker(capfd):
    words = docker_words(capfd, "--workdir=run", "--user=0:0")
    assert [word for word in words if word.startswith("--user=")] == ["--user=0:0"]
    arguments = ["submit", CONFIG, "--dry_run", "--target=docker", "--workdir=run", "--user=me"]
    assert run(arguments) == 2
    assert "user must be numbers, UID:GID" in capfd.readouterr().err


def test_default_work_directory_is_a_local_folder():
    assert default_workdir("trainer-a-0123abcd") == "runs/trainer-a-0123abcd"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(0, 0), (1, 1), (2, 2), (75, 75), (125, 2), (126, 2), (127, 2), (137, 1)],
)
def test_exit_statuses_of_the_job_and_of_docker(status, expected, install_docker):
    install_docker(f'[ "$1" = version ] || exit {status}\n')
    arguments = ["submit", CONFIG, "--target=docker", "--workdir=run"]
    if expected == 1:
        with pytest.raises(SystemExit) as raised:
            run(arguments)
        assert raised.value.code == 1
    else:
        assert run(arguments) == expected


@pytest.fixture
def open_folder():
    """A folder that every user may use, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield folder


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become another user")
def test_libraries_work_for_a_user_without_a_name(capfd, request, open_folder):
    """As in the container: nobody there has heard of the user's number."""
    words = docker_words(capfd, "--workdir=run")
    environment = dict(
        word.removeprefix("--env=").split("=", 1) for word in words if word.startswith("--env=")
    )
    code = (
        "import getpass, os, matplotlib.pyplot, tensorflow_datasets; "
        "print(os.getuid(), getpass.getuser(), os.path.expanduser('~'))"
    )
    argv = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", sys.executable]
    environment |= {"HOME": open_folder, "PYTHONPATH": str(request.config.rootpath)}
    done = subprocess.run([*argv, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"54321 me {open_folder}\n"
    del environment["USER"]
    done = subprocess.run([*argv, "-c", code], env=environment, capture_output=True, text=True)
    assert "getpwuid" in done.stderr


def test_docker_without_daemon_is_one_line(here, capfd, install_docker):
    message = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
    install_docker(f"echo {message} >&2; exit 1\n")
    assert run(["submit", CONFIG, "--target=docker", "--workdir=run"]) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith(f"error: {message}")
    assert not (here / "run").exists()


def test_missing_image_is_a_user_error(capfd, install_docker):
    message = "docker: pull access denied for nosuch"
    install_docker(f'[ "$1" = version ] || {{ echo {message} >&2; exit 125; }}\n')
    assert run(["submit", CONFIG, "--target=docker", "--image=nosuch", "--workdir=run"]) == 2
    *_, reason, last = capfd.readouterr().err.splitlines()
    assert reason == message
    assert last == "error: docker run could not run the job; fix the error shown above"


# A container without isolation: runs the arguments after the image on this machine.
DOCKER = """case "$1" in
stop) kill -TERM "$(cat "$4.pid")";;
run)
  for word; do
    shift
    case "$word" in
    --name=*) name=${word#*=};;
    --workdir=*) if [ -z "$folder" ]; then folder=${word#*=}; fi;;
    stand-in) break;;
    esac
  done
  cd "$folder" && echo $$ > "$name.pid" && exec PROGRAM "$@";;
esac
"""
# Stands for the program in the image.
JOB = """#!/bin/sh
trap 'echo saved; exit 75' TERM
echo "running $1"
[ "$CONTINUE" = 1 ] || exit 0
while :; do sleep 0.1; done
"""


def submit(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", "submit", "--target=docker", "--image=stand-in", CONFIG,
         "--workdir=run", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def stand_in(install_docker, monkeypatch, request):
    """Installs a docker that runs a program on this machine."""

    def install(program):
        install_docker(DOCKER.replace("PROGRAM", program))
        monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))

    return install


def test_container_from_start_to_stop(here, stand_in):
    (here / "job").write_text(JOB)
    (here / "job").chmod(0o755)
    stand_in(str(here / "job"))
    finishes = submit()
    stops = submit("--config.seed=1", CONTINUE="1")
    assert stops.stdout.readline() == "running train\n"
    stops.send_signal(signal.SIGINT)
    output, errors = stops.communicate(timeout=60)
    assert stops.returncode == 75, errors
    assert output == "saved\n"
    assert errors.splitlines()[-1] == "the job was stopped; run the same command to resume"

    output, errors = finishes.communicate(timeout=60)
    assert finishes.returncode == 0, errors
    assert output == "running train\n"
    assert errors.splitlines()[-1] == "next: trainer evaluate --workdir=run"


@pytest.mark.slow
def test_container_trains_stops_and_resumes(here, stand_in):
    stand_in(f"{sys.executable} -m trainer")
    small = ("--config.model.filters=8,8", "--config.train.epochs=400")
    process = submit(*small)
    while not (here / "run" / "metrics.jsonl").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 75, errors
    assert errors.splitlines()[-1] == "the job was stopped; run the same command to resume"

    process = submit(*small)
    while not any("resuming at step" in line for line in process.stderr):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 75
