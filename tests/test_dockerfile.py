"""The Dockerfile; make image-test builds and runs it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def hadolint(path):
    program = Path(sys.executable).with_name("hadolint")
    return subprocess.run([program, path], capture_output=True, text=True)


def test_hadolint(tmp_path):
    done = hadolint(ROOT / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")
    worse = tmp_path / "Dockerfile"
    worse.write_text(DOCKERFILE.replace("USER 10001:10001", "USER root"))
    assert "DL3002" in hadolint(worse).stdout


def test_the_promises_of_the_image():
    runtime = DOCKERFILE.partition(" AS runtime")[2].partition("\nFROM ")[0]
    assert re.search(r"^USER [1-9]\d*:\d+$", runtime, re.MULTILINE)
    assert 'ENTRYPOINT ["trainer"]' in runtime
    assert "VOLUME /runs" in runtime
    assert "trainer doctor --quick" in runtime
    # What is built without a target is the image, not its tests.
    assert DOCKERFILE.rstrip().endswith("\nFROM runtime")


def test_code_comes_after_dependencies():
    """A changed line of code must not install TensorFlow again."""
    before = DOCKERFILE.partition("-m pip")[0]
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", before, re.MULTILINE)
    assert copied == ["requirements", "setup.py", "trainer/__init__.py"]


def test_the_builder_sees_all_that_the_stages_copy():
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    assert ignore[1] == "*"
    for source in ("setup.py", "requirements", "trainer", "configs", "tests", "README.md"):
        assert source in allowed
        assert (ROOT / source).exists()
    assert allowed.isdisjoint({".git", ".venv", ".venv-peers", "runs", "build"})


def whitelist(name, mark):
    lines = (ROOT / name).read_text().splitlines()
    return [line.removeprefix(mark) for line in lines if line.startswith(mark)]


def test_cloud_build_and_docker_are_sent_the_same():
    names = whitelist(".dockerignore", "!")
    assert names == whitelist(".gcloudignore", "!/")
    assert len(names) == len(set(names))
    assert all((ROOT / name).exists() for name in names)


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="needs gcloud")
def test_gcloud_uploads_what_the_builder_needs(tmp_path):
    names = whitelist(".dockerignore", "!")
    # The depths at which something could be lost or found by mistake.
    needed = {
        str(path.relative_to(ROOT))
        for name in names
        for path in [ROOT / name, *sorted((ROOT / name).rglob("*"))]
        if path.is_file() and "__pycache__" not in path.parts
    }
    unwanted = (
        *(".git/config", ".venv/bin/trainer", ".venv-peers/a", "runs/x/checkpoint", "cloud.toml"),
        *("build/coverage/data", "trainer/__pycache__/a.pyc", "key.json", ".mypy_cache/trainer"),
    )
    for path in (*needed, *unwanted):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / ".gcloudignore").write_text((ROOT / ".gcloudignore").read_text())
    environment = {**os.environ, "CLOUDSDK_CONFIG": str(tmp_path.parent / "gcloud")}
    argv = ["gcloud", "meta", "list-files-for-upload", str(tmp_path)]
    done = subprocess.run(argv, env=environment, check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) == needed


def test_every_version_in_the_image_is_locked():
    """Without --no-deps pip would choose versions itself."""
    commands = re.split(r"&&|\n", DOCKERFILE.replace("\\\n", " "))
    pip = [command for command in commands if "-m pip" in command]
    # The first one is the start of those that follow.
    assert 'install="' in pip[0]
    assert all("--no-deps" in command for command in pip)
    installs = [command for command in commands if "${install}" in command] + pip[1:]
    assert len(installs) == 3
    assert all(re.search('-r "?requirements/|--editable [.]', one) for one in installs), installs
    for path in (ROOT / "requirements").glob("*.txt"):
        for line in path.read_text().splitlines():
            name = line.partition("#")[0].partition(";")[0].strip()
            assert not name or name.startswith("-r ") or re.search(r"==|@ ", name), (path, line)
