import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from trainer.doctor import programs


def test_missing_programs_are_warnings(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for finding in (programs.check_gcloud(), programs.check_docker()):
        assert (finding.level, finding.text.split(":")[0]) == ("warn", "not found")
        assert finding.remedy


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_gcloud_without_login(monkeypatch, tmp_path):
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    finding = programs.check_gcloud()
    assert (finding.level, finding.remedy) == ("warn", "gcloud auth login")


class Daemon(BaseHTTPRequestHandler):
    """Answers the requests of `docker info`."""

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
def test_docker_daemon_and_login(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert "does not respond" in programs.check_docker().text
    with HTTPServer(("127.0.0.1", 0), Daemon) as daemon:
        threading.Thread(target=daemon.serve_forever, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{daemon.server_port}")
        assert "configure-docker" in programs.check_docker().remedy
        login = {"credHelpers": {"us-central1-docker.pkg.dev": "gcloud"}}
        (tmp_path / "config.json").write_text(json.dumps(login))
        assert programs.check_docker().level == "ok"
        daemon.shutdown()
