"""Python and the packages, by their metadata: nothing is imported."""

import sys
from importlib import metadata

from packaging.requirements import Requirement

from trainer.compat.tpu import PJRT_TENSORFLOW
from trainer.doctor.finding import Finding, Level

# One of them brings the module `tensorflow`; two overwrite each other's files.
BUILDS = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")
_OLDEST_PYTHON, _NEWEST_PYTHON = (3, 10), (3, 13)
_INSTALL = "make setup in a checkout, or pip install --no-deps -r requirements/default.txt"


def check_python() -> Finding:
    """Whether this is a Python that the packages exist for."""
    version = sys.version.split()[0]
    if _OLDEST_PYTHON <= sys.version_info[:2] <= _NEWEST_PYTHON:
        return Finding("python", Level.OK, version)
    text = f"{version}, not 3.10, 3.11, 3.12 or 3.13"
    return Finding("python", Level.FAIL, text, "make setup PYTHON=/path/to/python3.13")


def check_packages() -> list[Finding]:
    """Requirements that are not met, and versions that do not go together."""
    try:
        listed = metadata.requires("trainer") or []
    except metadata.PackageNotFoundError:
        return [Finding("packages", Level.FAIL, "trainer itself is not installed", _INSTALL)]
    required = [Requirement(line) for line in listed]
    always = [one for one in required if one.marker is None or one.marker.evaluate({"extra": ""})]
    agents = [one for one in required if one.name == "tf-agents" and one not in always]
    findings = [
        *_check_requirements(always),
        *_check_tf_agents(agents),
        *_check_tensorflow(),
        *_check_tpu_build(),
        *_check_libtpu([one for one in required if one.name == "libtpu"]),
    ]
    if any(finding.level != Level.OK for finding in findings):
        return findings
    return [
        Finding("packages", Level.OK, f"all {len(always)} packages satisfy setup.py"),
        *findings,
    ]


def _check_requirements(required: list[Requirement]) -> list[Finding]:
    findings = []
    for one in required:
        # Which build of TensorFlow is installed is looked at on its own.
        found = _tensorflow()[1] if one.name == "tensorflow" else _version(one.name)
        if not found:
            text = f"{one.name} is not installed"
        elif not one.specifier.contains(found, prereleases=True):
            text = f"{one.name} is {found}, not {one.specifier}"
        else:
            continue
        findings.append(Finding("packages", Level.FAIL, text, _install_command(one)))
    return findings


def _check_tf_agents(wanted: list[Requirement]) -> list[Finding]:
    """TF-Agents on a Python for which setup.py does not ask for it."""
    if wanted and not _version("tf-agents"):
        text = "tf-agents is not installed: networks can be trained, agents cannot"
        return [Finding("packages", Level.WARN, text, _INSTALL)]
    return _check_requirements(wanted)


def _install_command(one: Requirement) -> str:
    # The versions that TF-Agents asks for are older than those it works with.
    no_dependencies = "--no-deps " if one.name == "tf-agents" else ""
    return f"pip install {no_dependencies}'{one.name}{one.specifier}'"


def _check_tensorflow() -> list[Finding]:
    builds = [build for build in BUILDS if _version(build)]
    if len(builds) > 1:
        return [
            Finding(
                "tensorflow",
                Level.FAIL,
                f"{' and '.join(builds)} overwrite each other's files",
                f"pip uninstall {' '.join(builds)}; then {_INSTALL}",
            )
        ]
    build, version = _tensorflow()
    keras = _version("tf_keras")
    if not version or not keras:
        return []
    minor = ".".join(version.split(".")[:2])
    if keras.split(".")[:2] != version.split(".")[:2]:
        text = f"tf_keras {keras} does not go with {build} {version}"
        remedy = f"pip install --no-deps 'tf_keras=={minor}.*'"
        return [Finding("tensorflow", Level.FAIL, text, remedy)]
    return [Finding("tensorflow", Level.OK, f"{build} {version}, tf_keras {keras}")]


def _check_tpu_build() -> list[Finding]:
    version = _version("tensorflow-tpu")
    if not version or version.startswith(f"{PJRT_TENSORFLOW}."):
        return []
    text = f"tensorflow-tpu {version} cannot use TPU v5e, v5p and v6e"
    remedy = "make setup ACCELERATOR=tpu, or pip install --no-deps -r requirements/tpu.txt"
    return [Finding("tensorflow", Level.WARN, text, remedy)]


def _check_libtpu(pins: list[Requirement]) -> list[Finding]:
    found = _version("libtpu")
    if not found and not _version("tensorflow-tpu"):
        return []
    for pin in pins:
        if not found or not pin.specifier.contains(found, prereleases=True):
            text = f"libtpu is {found or 'not installed'}; tensorflow-tpu needs "
            text += str(pin.specifier).lstrip("=")
            return [Finding("libtpu", Level.FAIL, text, f"pip install 'libtpu{pin.specifier}'")]
    return [Finding("libtpu", Level.OK, found)]


def _tensorflow() -> tuple[str, str]:
    """The build that is installed and its version; both empty if there is none."""
    return next(((build, _version(build)) for build in BUILDS if _version(build)), ("", ""))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
