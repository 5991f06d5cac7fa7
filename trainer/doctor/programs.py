"""The programs that submit and run images; training needs neither.

Their output is judged, never shown: it may hold what only they should know.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

from trainer.doctor.finding import Finding

_SECONDS = 20


def check_gcloud() -> Finding:
    """Whether gcloud is here and somebody is logged in."""
    if not shutil.which("gcloud"):
        return Finding(
            "gcloud",
            "warn",
            "not found: nothing can be submitted from here",
            "install it: https://cloud.google.com/sdk/docs/install",
        )
    accounts = _output("gcloud", "auth", "list", "--filter=status:ACTIVE", "--format=json")
    if accounts is None or not json.loads(accounts or "[]"):
        return Finding("gcloud", "warn", "nobody is logged in", "gcloud auth login")
    return Finding("gcloud", "ok", "logged in")


def check_docker() -> Finding:
    """Whether docker is here, its daemon answers and a registry's login is known."""
    if not shutil.which("docker"):
        return Finding(
            "docker",
            "warn",
            "not found: no image can be built or run from here",
            "install it: https://docs.docker.com/engine/install/",
        )
    if not _output("docker", "info", "--format", "{{.ServerVersion}}"):
        remedy = "start it: systemctl start docker; or join its group: usermod -aG docker USER"
        return Finding("docker", "warn", "its daemon does not answer", remedy)
    if not _has_login():
        return Finding(
            "docker",
            "warn",
            "the daemon answers; no registry's login is known",
            "gcloud auth configure-docker REGION-docker.pkg.dev",
        )
    return Finding("docker", "ok", "the daemon answers, a registry's login is known")


def _has_login() -> bool:
    folder = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    try:
        config = json.loads((Path(folder) / "config.json").read_text())
    except (OSError, ValueError):
        return False
    return any(config.get(key) for key in ("auths", "credHelpers", "credsStore"))


def _output(*command: str) -> str | None:
    """What a program prints; None if it fails or does not answer in time."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
