"""requirements/: exact versions for every Python, one build of TensorFlow per file."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).parents[2] / "requirements"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
ACCELERATORS = ("default", "cpu", "gpu", "tpu")
REQUIRED = [Requirement(line) for line in metadata.requires("trainer")]
BUILDS = {"tensorflow", "tensorflow-cpu", "tensorflow-tpu"}
LINE = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>\S+)( ; .+)?")


def lines(name):
    """Every line of a file and of those it includes, without the comments."""
    for line in (FOLDER / f"{name}.txt").read_text().splitlines():
        if line.startswith("-r "):
            yield from lines(Path(line[3:]).stem)
        elif not line.startswith("#"):
            yield line


def locked(name, python):
    """From package to version, of one file on Linux and one Python."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
    }
    found = {}
    for requirement in map(Requirement, lines(name)):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            assert requirement.name not in found, f"two versions of {requirement.name}"
            (specifier,) = requirement.specifier
            found[requirement.name] = specifier.version
    return found


def required(python, *extras):
    """What setup.py asks for on one Python."""
    for one in REQUIRED:
        for extra in ("", *extras):
            environment = {"python_version": python, "extra": extra}
            if one.marker is None or one.marker.evaluate(environment):
                yield one
                break


@pytest.mark.parametrize("name", [path.stem for path in FOLDER.glob("*.txt")])
def test_a_file_holds_nothing_but_exact_versions(name):
    assert [line for line in lines(name) if not LINE.fullmatch(line)] == []


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_the_versions_are_those_that_setup_allows(accelerator, python):
    versions = locked(accelerator, python)
    extras = () if accelerator == "default" else (accelerator,)
    for one in required(python, *extras):
        name = canonicalize_name(one.name)
        if name == "tensorflow" and accelerator in ("cpu", "tpu"):
            name = f"tensorflow-{accelerator}"
        assert one.specifier.contains(versions[name]), one


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_there_is_one_build_of_tensorflow_with_its_keras(accelerator, python):
    versions = locked(accelerator, python)
    (build,) = BUILDS & versions.keys()
    is_special = accelerator in ("cpu", "tpu")
    assert build == (f"tensorflow-{accelerator}" if is_special else "tensorflow")
    assert versions["tf-keras"].split(".")[:2] == versions[build].split(".")[:2]
    assert ("nvidia-cudnn-cu12" in versions) == (accelerator == "gpu")
    assert ("libtpu" in versions) == (accelerator == "tpu")
    assert versions["tf-agents"] == "0.19.0"
    assert {"pytest", "gym"}.isdisjoint(versions)


@pytest.mark.parametrize("python", PYTHONS)
def test_the_tools_are_locked_apart(python):
    tools = locked("dev", python)
    wanted = {canonicalize_name(one.name) for one in required(python, "dev")}
    runtime = locked("default", python)
    assert wanted <= tools.keys() | runtime.keys()
    assert tools.keys().isdisjoint(runtime.keys())
