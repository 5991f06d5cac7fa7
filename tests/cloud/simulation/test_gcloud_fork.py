"""The fast gcloud against the real one."""

import os
import signal
import subprocess
import time

import pytest

pytestmark = pytest.mark.slow

COMMANDS = {
    "succeeds": "storage cat gs://b/a",
    "lists": "storage objects list gs://b/** --format=json",
    "describes": "storage buckets describe gs://b",
    "does not find": "compute instances describe nothing --zone=us-central1-a --project=p",
    "lacks an argument": "compute instances describe",
    "has a wrong flag": "ai custom-jobs list --unknown",
    "has a filter": "compute instances list --project=p --filter=labels.made-by=trainer",
    "is another command": "config list",
    "prints help": "storage cp --help",
}


def run(program, cloud, command, **environment):
    environment = {**cloud.environment(), **environment}
    words = command.split()
    result = subprocess.run([program, *words], env=environment, capture_output=True, check=False)
    return result.returncode, result.stdout, result.stderr


@pytest.fixture
def fast(cloud):
    return str(cloud.folder / "bin" / "gcloud")


@pytest.mark.parametrize("name", COMMANDS)
def test_output_is_that_of_the_real_gcloud(gcloud, cloud, fast, name):
    cloud.storage.write(request(), "b", "a", b"content\n")
    real = run(gcloud.program, cloud, COMMANDS[name])
    assert run(fast, cloud, COMMANDS[name]) == real
    assert real[0] in (0, 1, 2)


def request():
    from simulation.web import Request

    return Request("POST", "", {}, {}, b"", "test")


def test_folder_environment_and_configuration_are_those_of_the_caller(cloud, fast, tmp_path):
    (tmp_path / "file").write_text("content")
    copied = subprocess.run(
        [fast, "storage", "cp", "file", "gs://b/copy"],
        cwd=tmp_path,
        env=cloud.environment(),
        capture_output=True,
        check=False,
    )
    assert copied.returncode == 0, copied.stderr
    assert cloud.storage.read("copy") == b"content"
    assert run(fast, cloud, "config set project changed")[0] == 0
    assert run(fast, cloud, "config get project")[1] == b"changed\n"
    other = {"CLOUDSDK_CORE_PROJECT": "other"}
    assert run(fast, cloud, "config get project", **other)[1] == b"other\n"


def test_standard_input_is_that_of_the_caller(cloud, fast):
    command = [fast, "storage", "cp", "-", "gs://b/copy"]
    environment = cloud.environment()
    result = subprocess.run(
        command, env=environment, input=b"from stdin", capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert cloud.storage.read("copy") == b"from stdin"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_signal_ends_the_command(gcloud, cloud, fast, number):
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [fast, "storage", "cp", "-", "gs://b/copy"],
        env=cloud.environment(),
        stdin=reader,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(reader)
    end = time.monotonic() + 30
    while not children(gcloud):
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(number)
    process.communicate(timeout=10)
    assert process.returncode in (-number, 1, 130)
    while children(gcloud):
        assert time.monotonic() < end
        time.sleep(0.01)
    os.close(writer)
    assert cloud.storage.read("copy") is None


def children(gcloud):
    pid = gcloud.server.pid
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


def test_command_takes_a_fraction_of_a_second(cloud, fast):
    run(fast, cloud, "storage ls gs://b")
    began = time.monotonic()
    for _ in range(5):
        run(fast, cloud, "storage ls gs://b")
    assert time.monotonic() - began < 5


def test_retries_of_gcloud_take_simulated_time(make_cloud, call):
    from simulation.faults import Faults, Window

    faults = Faults("gpu-vm", windows=(Window(0, 20, "503"),))
    cloud = make_cloud(faults)
    cloud.storage.write(request(), "b", "a", b"content")
    began = time.monotonic()
    status, output, errors = call(cloud, "storage cat gs://b/a")
    assert (status, output) == (0, "content"), errors
    assert cloud.clock.now >= 20
    assert time.monotonic() - began < 10
