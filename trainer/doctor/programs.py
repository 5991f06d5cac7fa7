"""Checks gcloud and docker, which submit jobs and run images. Training needs neither.

Their output is evaluated but never printed, because it may contain secrets.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

from trainer.doctor.finding import Finding, Level

_TIMEOUT = 20


def check_gcloud() -> Finding:
    """Checks that gcloud is installed and an account is logged in."""
    if not shutil.which("gcloud"):
        return Finding(
            "gcloud",
            Level.WARN,
            "not found: cannot submit jobs to Google Cloud",
            "install it: https://cloud.google.com/sdk/docs/install",
        )
    accounts = _output("gcloud", "auth", "list", "--filter=status:ACTIVE", "--format=json")
    if accounts is None or not json.loads(accounts or "[]"):
        return Finding("gcloud", Level.WARN, "no account is logged in", "gcloud auth login")
    return Finding("gcloud", Level.OK, "logged in")


def check_docker() -> Finding:
    """Checks that docker is installed, its daemon responds and it is logged in to a registry."""
    if not shutil.which("docker"):
        return Finding(
            "docker",
            Level.WARN,
            "not found: cannot build or run images",
            "install it: https://docs.docker.com/engine/install/",
        )
    if not _output("docker", "info", "--format", "{{.ServerVersion}}"):
        remedy = "start it: systemctl start docker; or join its group: usermod -aG docker USER"
        return Finding("docker", Level.WARN, "the daemon does not respond", remedy)
    if not _has_login():
        return Finding(
            "docker",
            Level.WARN,
            "the daemon responds; not logged in to any registry",
            "gcloud auth configure-docker REGION-docker.pkg.dev",
        )
    return Finding("docker", Level.OK, "the daemon responds; logged in to a registry")


def _has_login() -> bool:
    folder = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    try:
        config = json.loads((Path(folder) / "config.json").read_text())
    except (OSError, ValueError):
        return False
    return any(config.get(key) for key in ("auths", "credHelpers", "credsStore"))


def _output(*command: str) -> str | None:
    """The output of a program; None if it fails or times out."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
