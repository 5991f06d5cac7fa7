"""The Dockerfile; make image-test builds and runs it."""

import re
import subprocess
import sys
from pathlib import Path

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
