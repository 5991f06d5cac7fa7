"""TF_CONFIG, directories and programs, each broken for real."""

import json
import os
import shutil
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from trainer.doctor import directories, programs
from trainer.doctor.hosts import check_hosts

ROOT = os.geteuid() == 0


def cluster(*workers, index=0):
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": workers}, "task": task})


@pytest.mark.parametrize(
    ("text", "level", "said"),
    [
        ("", "ok", "one host"),
        (cluster("127.0.0.1:1", "localhost:2"), "ok", "2 processes"),
        ('{"token": "hidden', "fail", "JSONDecodeError"),
        (cluster("127.0.0.1:1", index=1), "fail", "task index 1 of 1"),
        (cluster("127.0.0.1:1", "127.0.0.1:1"), "fail", "named twice"),
        (cluster("127.0.0.1"), "fail", "host:port"),
        (cluster("127.0.0.1:1", "no-such-host.invalid:1"), "fail", "no-such-host.invalid:1"),
    ],
)
def test_tf_config(text, level, said, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    finding = check_hosts()
    assert finding.level == level
    assert said in finding.text
    assert (level == "ok") == (not finding.remedy)


def test_a_work_directory_that_can_be_made(tmp_path):
    findings = directories.check_workdir(str(tmp_path / "runs" / "new"))
    assert [one.level for one in findings] == ["ok", "ok"]
    assert list(tmp_path.iterdir()) == []


def test_work_directories_that_cannot(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "closed").mkdir(mode=0o555)
    closed = "/proc/run" if ROOT else str(tmp_path / "closed" / "run")
    for path in (str(tmp_path / "file"), closed):
        findings = directories.check_workdir(path)
        assert [one.level for one in findings] == ["fail"], path
        assert "chown" in findings[0].remedy


def test_data_directories(tmp_path):
    (tmp_path / "mnist").mkdir()
    assert directories.check_data_dir(str(tmp_path), True).text.endswith("1 entries")
    for asked, level in ((True, "fail"), (False, "warn")):
        missing = directories.check_data_dir(str(tmp_path / "none"), asked)
        assert missing.level == level
        assert "--data_dir" in missing.remedy


def test_no_temporary_directory(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "none")])
    finding = directories.check_temporary()
    assert finding.level == "fail"
    assert "--tmpfs" in finding.remedy


def test_programs_that_are_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for finding in (programs.check_gcloud(), programs.check_docker()):
        assert (finding.level, finding.text.split(":")[0]) == ("warn", "not found")
        assert finding.remedy


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_gcloud_without_a_login(monkeypatch, tmp_path):
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    finding = programs.check_gcloud()
    assert (finding.level, finding.remedy) == ("warn", "gcloud auth login")


class Daemon(BaseHTTPRequestHandler):
    """What docker asks a daemon for before it says that it is there."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        body = b'{"ServerVersion": "28.0.0", "ID": "loopback"}'
        self.send_response(200)
        self.send_header("Api-Version", "1.48")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.mark.skipif(shutil.which("docker") is None, reason="docker is not installed")
def test_docker_with_and_without_daemon_and_login(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert "does not answer" in programs.check_docker().text
    with HTTPServer(("127.0.0.1", 0), Daemon) as daemon:
        threading.Thread(target=daemon.serve_forever, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{daemon.server_port}")
        assert "configure-docker" in programs.check_docker().remedy
        login = {"credHelpers": {"us-central1-docker.pkg.dev": "gcloud"}}
        (tmp_path / "config.json").write_text(json.dumps(login))
        assert programs.check_docker().level == "ok"
        daemon.shutdown()
