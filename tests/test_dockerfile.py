"""The Dockerfile and what installs in it; make image-test builds and runs it."""

import re
import runpy
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LISTED = "\n".join(metadata.requires("trainer"))


def hadolint(path):
    program = Path(sys.executable).with_name("hadolint")
    return subprocess.run([program, path], capture_output=True, text=True)


@pytest.fixture(scope="module")
def choose():
    return runpy.run_path(str(ROOT / "docker/install.py"))["choose"]


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
    before = DOCKERFILE.partition("docker/install.py /opt/venv")[0]
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", before, re.MULTILINE)
    assert copied == ["setup.py", "docker/install.py", "trainer/__init__.py"]


@pytest.mark.parametrize(
    ("accelerator", "tensorflow"),
    [
        ("cpu", {"tensorflow-cpu<2.22,>=2.20"}),
        ("gpu", {"tensorflow[and-cuda]<2.22,>=2.20"}),
        ("tpu", {"tensorflow-tpu==2.20.0", "libtpu==0.0.21"}),
    ],
)
def test_one_build_of_tensorflow(accelerator, tensorflow, choose):
    packages, keras = choose(LISTED, accelerator)
    builds = r"(tensorflow(-cpu|-tpu|\[.*\])?|libtpu)[<>=]"
    assert {one for one in packages if re.match(builds, one)} == tensorflow
    assert keras == ("tf_keras==2.20.1" if accelerator == "tpu" else "tf_keras<2.22,>=2.20")
    assert "tf-agents==0.19.0" in packages
    assert not any(one.startswith(("pytest", "tf_keras")) for one in packages)
    assert any(one.startswith("pytest") for one in choose(LISTED, accelerator, "dev")[0])


def test_the_builder_sees_all_that_the_stages_copy():
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    assert ignore[1] == "*"
    for source in ("setup.py", "docker/install.py", "trainer", "configs", "tests", "README.md"):
        assert source in allowed
        assert (ROOT / source).exists()
    assert not any(name.startswith((".git", ".venv", "runs", "build")) for name in allowed)
