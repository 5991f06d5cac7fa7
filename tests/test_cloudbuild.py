"""cloudbuild.yaml: its schema, and what the schema cannot see."""

import copy
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FILE = Path(__file__).parents[1] / "cloudbuild.yaml"
BUILD = yaml.safe_load(FILE.read_text())
# https://cloud.google.com/build/docs/configuring-builds/substitute-variable-values
ALWAYS = {"PROJECT_ID", "PROJECT_NUMBER", "BUILD_ID", "LOCATION"}
ON_A_TRIGGER = {
    "TRIGGER_NAME", "COMMIT_SHA", "REVISION_ID", "SHORT_SHA", "REPO_NAME", "REPO_FULL_NAME",
    "BRANCH_NAME", "TAG_NAME", "REF_NAME", "TRIGGER_BUILD_CONFIG_PATH",
}  # fmt: skip
# `$$` is a dollar of the shell's own.
REFERENCE = re.compile(r"(?<!\$)(?:\$\$)*\$(?:\{(\w+)\}|([A-Z_][A-Z0-9_]*))")


def texts(value):
    """Every string within."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def references(value):
    return {one or other for text in texts(value) for one, other in REFERENCE.findall(text)}


def complaints(build):
    """What Cloud Build would refuse or misunderstand, and the schema lets pass."""
    defined = set(build.get("substitutions", {}))
    found = [f"{name} has no underscore" for name in defined if not re.match("_[A-Z0-9_]+$", name)]
    used = references({key: value for key, value in build.items() if key != "availableSecrets"})
    found += [f"{name} is not defined" for name in used - defined - ALWAYS - ON_A_TRIGGER]
    found += [f"{name} is not used" for name in defined - used]
    before = set()
    for step in build["steps"]:
        for other in step.get("waitFor", []):
            if other not in before | {"-"}:
                found.append(f"{step.get('id')} waits for {other}, which is no step before it")
        if step.get("id") in before:
            found.append(f"two steps are called {step['id']}")
        before |= {step["id"]} if "id" in step else set()
    return found


def steps_before(build, step):
    """The ids of the steps that have ended, whatever happens, when a step begins."""
    order = [one["id"] for one in build["steps"]]
    waits = next(one for one in build["steps"] if one["id"] == step).get("waitFor")
    direct = order[: order.index(step)] if waits is None else [one for one in waits if one != "-"]
    return set(direct).union(*(steps_before(build, one) for one in direct))


def test_the_schema():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.cloudbuild"]
    done = subprocess.run([*command, str(FILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_schema_misses():
    assert complaints(BUILD) == []


def broken(change):
    build = copy.deepcopy(BUILD)
    change(build)
    return build


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda b: b["steps"][1].update(waitFor=["fetch"]), "waits for fetch"),
        (lambda b: b["steps"][1].update(waitFor=["push"]), "waits for push"),
        (lambda b: b["steps"][2].update(id="test"), "two steps are called test"),
        (lambda b: b["substitutions"].update(REGION="x"), "REGION has no underscore"),
        (lambda b: b["substitutions"].update(_ZONE="x"), "_ZONE is not used"),
        (lambda b: b["substitutions"].pop("_ACCELERATOR"), "_ACCELERATOR is not defined"),
        (lambda b: b["steps"][4]["args"].append("$_UNKNOWN"), "_UNKNOWN is not defined"),
    ],
)
def test_each_complaint_can_be_made(change, complaint):
    assert any(complaint in found for found in complaints(broken(change)))


def test_dollars_of_the_shell_are_no_references():
    assert references("$$tag $${commit:+x} ${_A} $_B $BUILD_ID$$") == {"_A", "_B", "BUILD_ID"}


def test_nothing_is_pushed_before_the_tests_have_passed():
    pushes = [step for step in BUILD["steps"] if any("docker push" in text for text in texts(step))]
    assert [step["id"] for step in pushes] == ["push"]
    assert "test" in steps_before(BUILD, "push")
    # `images` are pushed at the end too, but without the moving tags' order.
    assert "images" not in BUILD
    free = broken(lambda b: b["steps"][-1].update(waitFor=["build"]))
    assert "test" not in steps_before(free, "push")


@pytest.mark.parametrize(("commit", "tags"), [("", ["tpu"]), ("abc1234", ["tpu", "tpu-abc1234"])])
def test_what_is_pushed_by_hand_and_by_a_trigger(commit, tags, tmp_path):
    """The real script in the real shell; docker only writes down what it is told."""
    values = {"_IMAGE": "i", "_ACCELERATOR": "tpu", "BUILD_ID": "b-1", "SHORT_SHA": commit}
    script = REFERENCE.sub(lambda m: values[m[1] or m[2]], BUILD["steps"][-1]["args"][-1])
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/log\n')
    docker.chmod(0o755)
    flags = BUILD["steps"][-1]["args"][:-1]
    path = f"{tmp_path}:/usr/bin:/bin"
    subprocess.run(["bash", *flags, script.replace("$$", "$")], check=True, env={"PATH": path})
    lines = (tmp_path / "log").read_text().splitlines()
    pushed = [line.removeprefix("push i:") for line in lines if line.startswith("push")]
    assert pushed == ["tpu-dependencies", "tpu-b-1", *tags]
