import json
import os
import subprocess
import sys
import time

import pytest

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
    """Runs `trainer doctor ARGUMENTS…` in a child process."""

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


def test_all_checks_run_and_print_no_secret(doctor, tmp_path):
    """Environment variables, files and the address of the daemon contain secrets."""
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


def test_invalid_tf_config_is_not_printed(doctor):
    secret = '{"cluster": {"worker": ["a:1"]}, "password": "planted-cluster"}'
    for arguments in (("--quick",), ("--quick", "--json")):
        done = doctor(*arguments, **SECRETS, TF_CONFIG=secret)
        assert done.returncode == 2
        assert "TF_CONFIG is invalid" in done.stdout
        assert "planted" not in done.stdout + done.stderr


def test_failed_check_exits_with_2(doctor, tmp_path):
    done = doctor("--quick", f"--data_dir={tmp_path / 'none'}")
    assert done.returncode == 2
    assert done.stderr == "error: fix the failed checks above: data_dir\n"
    assert f"fail  data_dir    {tmp_path / 'none'} cannot be read: No such file" in done.stdout
    assert "→ set --data_dir or TFDS_DATA_DIR" in done.stdout


def test_crash_of_tensorflow_is_a_finding_and_quick_does_not_import_it(doctor, tmp_path):
    (tmp_path / "tensorflow.py").write_text("import os\nos.abort()\n")
    done = doctor("--json", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert levels(done)["start"] == "fail"
    assert "status -6" in done.stdout
    started = time.perf_counter()
    done = doctor("--quick", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert time.perf_counter() - started < 3


def test_secret_in_an_error_of_tensorflow_is_redacted(doctor, tmp_path):
    text = "import os\nraise RuntimeError(f\"no entry with {os.environ['HF_TOKEN']}\")\n"
    (tmp_path / "tensorflow.py").write_text(text)
    for arguments in ((), ("--json",)):
        done = doctor(*arguments, PYTHONPATH=str(tmp_path), HF_TOKEN="planted-by-a-test")
        assert done.returncode == 2
        assert "RuntimeError: no entry with [hidden]" in done.stdout
        assert "planted" not in done.stdout + done.stderr


def test_positional_arguments_are_refused(doctor):
    done = doctor("--quick", "here")
    assert done.returncode == 2
    assert "doctor takes only flags. Received: here" in done.stderr
