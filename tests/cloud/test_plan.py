"""Runs the printed scripts in a shell."""

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.cloud.command_errors import ErrorPatterns
from trainer.cloud.google import vertex, virtual_machine
from trainer.cloud.job import Job, make_name, remote_path
from trainer.cloud.plan import IDENTIFIER, Command, JobStatus, Plan, Wait, script

SHOW = "import json, sys; print(json.dumps([sys.argv[1:], sys.stdin.buffer.read().decode()]))"
# Any string that an argument can contain.
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def shell(text, **environment):
    return subprocess.run(
        ["sh"], input=text, capture_output=True, text=True, check=False, env=environment or None
    )


def seen(text, **environment):
    return json.loads(shell(text, **environment).stdout)


@settings(max_examples=10, deadline=None)
@given(st.lists(WORDS, max_size=6), WORDS)
def test_shell_parses_arguments_and_input(words, text):
    command = Command((sys.executable, "-c", SHOW, *(w for w in words if w != IDENTIFIER)), text)
    printed = subprocess.run(
        ["sh", "-c", str(command)], stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    arguments, stdin = json.loads(printed.stdout)
    assert arguments == [word for word in words if word != IDENTIFIER]
    assert stdin == text


def test_identifier_is_a_shell_variable():
    command = Command((sys.executable, "-c", SHOW, IDENTIFIER, "$HOME"))
    assert seen(str(command), JOB="projects/1 7")[0] == ["projects/1 7", "$HOME"]
    assert command.identified("x").argv[-2:] == ("x", "$HOME")


@settings(max_examples=10, deadline=None)
@given(st.lists(WORDS.filter(lambda word: "\r" not in word), min_size=1, max_size=4))
def test_arguments_are_quoted_for_two_shells(words):
    job = Job("train", "supervised", (), tuple(words), "gs://b/run", True, "n")
    text = virtual_machine.code_command(job, (), ('TF_CONFIG={"a": "it\'s"}',))
    told = text.replace(".venv/bin/trainer", f"{sys.executable} -c '{SHOW}'")
    outer = subprocess.run(
        ["sh", "-c", f"sh -c {virtual_machine.shlex.quote(told)}"],
        stdin=subprocess.DEVNULL, capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(outer.stdout)[0] == ["train", *words, "--workdir=gs://b/run"]


@given(st.lists(WORDS, min_size=1, max_size=5))
def test_list_argument_of_gcloud_has_an_unused_delimiter(words):
    text = vertex._list(words)
    assert text[0] == text[2] == "^"
    assert text[3:].split(text[1]) == words


def plan(**changes):
    values = {
        "name": "n", "prepare": (), "create": Command(("echo", "made")), "prints_identifier": False,
        "ready": None, "stage": (), "job": (Command(("echo", "run")),), "completion": None,
        "describe": None, "classify_exit": lambda *_: JobStatus.FINISHED, "stop": (),
        "cleanup": (Command(("echo", "cleared")),), "delete": (Command(("echo", "deleted")),),
        "errors": ErrorPatterns(), "results": "",
    }  # fmt: skip
    return Plan(**{**values, **changes})


def pasted(the_plan, keep=False):
    result = shell(script(the_plan, 1, keep))
    return result.returncode, result.stdout.split()


def sh(text):
    return Command(("sh", "-c", text))


def test_steps_run_in_order():
    the_plan = plan(prepare=(sh("echo packed"),), stage=((sh("echo staged"),),))
    assert pasted(the_plan) == (0, ["packed", "made", "staged", "run", "cleared", "deleted"])
    assert pasted(the_plan, keep=True) == (0, ["packed", "made", "staged", "run", "cleared"])


@pytest.mark.parametrize("status", [1, 2, 75])
def test_script_exits_with_the_status_of_the_job_and_deletes_everything(status):
    assert pasted(plan(job=(sh(f"exit {status}"),))) == (status, ["made", "cleared", "deleted"])


def test_failed_step_skips_the_following_steps():
    for changes in (
        {"create": sh("exit 3")},
        {"stage": ((sh("exit 3"),), (sh("echo staged"),))},
        {"stage": ((sh("exit 3"), sh("true")),)},
    ):
        status, words = pasted(plan(**changes))
        assert status == 3
        assert words[-2:] == ["cleared", "deleted"]
        assert not {"staged", "run"} & set(words)


def test_script_waits_for_the_state(tmp_path):
    look = sh(f"echo . >> {tmp_path}/n; test $(wc -l < {tmp_path}/n) = 2 && echo UP a || echo NOT")
    assert pasted(plan(ready=Wait(look, ("UP",), ("LOST",)))) == (
        0,
        ["made", "run", "cleared", "deleted"],
    )
    # The state of an earlier run of the script is ignored.
    lost = plan(create=sh("exit 1"), ready=Wait(sh("echo LOST"), ("UP",), ("LOST",)))
    assert shell(f"state=UP\n{script(lost, 1, False)}").stdout.split() == ["cleared", "deleted"]
    assert pasted(plan(ready=Wait(sh("echo LOST x"), ("UP",), ("LOST",))))[0] == 1


def test_hosts_run_in_parallel_and_one_failure_fails_the_script():
    both = (sh("echo a; exit 0"), sh("echo b; exit 4"))
    status, words = pasted(plan(job=both))
    assert status == 4
    assert sorted(words) == ["a", "b", "cleared", "deleted", "made"]


def test_managed_job_with_identifier_and_completion(monkeypatch):
    monkeypatch.setattr("trainer.cloud.plan.drain_seconds", lambda _: 0)
    the_plan = plan(
        create=sh("echo job/7"),
        prints_identifier=True,
        job=(Command(("sh", "-c", 'echo "log of $1"; sleep 100', "sh", IDENTIFIER)),),
        completion=Wait(Command(("sh", "-c", "sleep 1; echo DONE")), ("DONE",), ("LOST",)),
    )
    assert pasted(the_plan) == (0, ["log", "of", "job/7", "cleared", "deleted"])


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=80), st.text())
def test_job_names_are_valid_in_google_cloud(stem, identity):
    name = make_name(stem, identity)
    assert name == make_name(stem, identity)
    assert name != make_name(stem, identity + "x")
    assert len(name) <= 55
    assert name.startswith("trainer-")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert name[-1].isalnum()


def test_remote_path_is_relative_to_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    assert remote_path("configs/a.py") == "configs/a.py"
    assert remote_path(str(tmp_path / "inside" / "a.py")) == "a.py"
    assert remote_path("../a.py") == str(tmp_path / "a.py").lstrip("/")
