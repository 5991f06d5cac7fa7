"""`trainer doctor` as a user runs it."""

import json
import os
import subprocess
import sys
import time

import pytest

from trainer.doctor import tensorflow_checks
from trainer.engine.distribution_config import DistributionConfig

SECRETS = {
    name: f"planted-{number}"
    for number, name in enumerate(
        (
            "API_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "GITHUB_TOKEN",
            "HF_TOKEN",
            "PASSWORD",
            "WANDB_API_KEY",
        )
    )
}


@pytest.fixture
def doctor(request):
    """A function: runs `trainer doctor ARGUMENTS…` in a process of its own."""

    def doctor(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "trainer", "doctor", *arguments],
            cwd=request.config.rootpath,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )

    return doctor


def levels(done):
    return {finding["check"]: finding["level"] for finding in json.loads(done.stdout)}


def test_all_of_it_and_no_secret(doctor, tmp_path):
    """Secrets planted where an environment, a file or a daemon's address may hold one."""
    credentials = tmp_path / "application_default_credentials.json"
    credentials.write_text('{"type": "authorized_user", "refresh_token": "planted-refresh"}')
    (tmp_path / "config.json").write_text('{"auths": {"x": {"auth": "planted-auth"}}}')
    (tmp_path / "token").write_text("planted-gcloud")
    done = doctor(
        "--json",
        f"--workdir={tmp_path / 'run'}",
        f"--data_dir={tmp_path}",
        **SECRETS,
        DOCKER_CONFIG=str(tmp_path),
        DOCKER_HOST="tcp://user:planted-daemon@127.0.0.1:9",
        GOOGLE_APPLICATION_CREDENTIALS=str(credentials),
        CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=str(tmp_path / "token"),
        GOOGLE_AUTH_TOKEN_FOR_TESTING="planted-gs",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "planted" not in done.stdout
    assert set(levels(done)) >= {
        "python", "packages", "tensorflow", "TF_CONFIG", "temporary", "workdir", "disk",
        "data_dir", "start", "devices", "strategy", "xla", "gcloud", "docker",
    }  # fmt: skip
    assert all(finding["remedy"] for finding in json.loads(done.stdout) if finding["level"] != "ok")


def test_a_wrong_tf_config_is_not_repeated(doctor):
    secret = '{"cluster": {"worker": ["a:1"]}, "password": "planted-cluster"}'
    for arguments in (("--quick",), ("--quick", "--json")):
        done = doctor(*arguments, **SECRETS, TF_CONFIG=secret)
        assert done.returncode == 2
        assert "TF_CONFIG is wrong" in done.stdout
        assert "planted" not in done.stdout + done.stderr


def test_a_failure_is_status_2_and_a_line(doctor, tmp_path):
    done = doctor("--quick", f"--data_dir={tmp_path / 'none'}")
    assert done.returncode == 2
    assert done.stderr == "error: mend what failed, as said above. Received: data_dir\n"
    assert f"fail  data_dir    {tmp_path / 'none'} cannot be read: No such file" in done.stdout
    assert "→ name another with --data_dir" in done.stdout


def test_a_strategy_that_cannot_be_had():
    for asked, remedy in (("gpu", "--strategy=cpu"), ("tpu", "devices")):
        (finding,) = tensorflow_checks.check_strategy(DistributionConfig(strategy=asked))
        assert finding.level == "fail"
        assert remedy in finding.remedy


def test_a_tensorflow_that_aborts_is_a_finding_and_quick_never_loads_it(doctor, tmp_path):
    (tmp_path / "tensorflow.py").write_text("import os\nos.abort()\n")
    done = doctor("--json", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert levels(done)["start"] == "fail"
    assert "status -6" in done.stdout
    started = time.perf_counter()
    done = doctor("--quick", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert time.perf_counter() - started < 3


def test_a_tensorflow_that_tells_a_secret_is_not_repeated(doctor, tmp_path):
    text = "import os\nraise RuntimeError(f\"no entry with {os.environ['HF_TOKEN']}\")\n"
    (tmp_path / "tensorflow.py").write_text(text)
    for arguments in ((), ("--json",)):
        done = doctor(*arguments, PYTHONPATH=str(tmp_path), HF_TOKEN="planted-by-a-test")
        assert done.returncode == 2
        assert "RuntimeError: no entry with [hidden]" in done.stdout
        assert "planted" not in done.stdout + done.stderr


def test_flags_only(doctor):
    done = doctor("--quick", "here")
    assert done.returncode == 2
    assert "doctor takes flags only. Received: here" in done.stderr
