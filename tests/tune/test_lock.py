"""One search a directory, for as long as any of its processes lives."""

import subprocess
import sys
import time

import pytest

from trainer.errors import UserError
from trainer.tune import lock
from trainer.tune.files import Layout

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(lock, "_PATIENCE_SECONDS", 0.2)


def test_a_second_search_is_refused_until_the_first_is_over(tmp_path):
    layout = Layout(tmp_path / "search")
    refused = pytest.raises(UserError, match="another search is running")
    with lock.held(layout), refused, lock.held(layout):
        pass
    with lock.held(layout):
        pass


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "search"):
        refused = pytest.raises(UserError, match=r"cannot be written .*Received: ")
        with refused, lock.held(Layout(path)):
            pass


def test_a_trial_that_lives_on_holds_the_lock(tmp_path):
    layout = Layout(tmp_path / "search")
    with lock.held(layout) as descriptors:
        trial = subprocess.Popen(SLEEP, pass_fds=descriptors)
    refused = pytest.raises(UserError, match="another search is running")
    with refused, lock.held(layout):
        pass
    trial.kill()
    trial.wait()
    time.sleep(0.1)
    with lock.held(layout):
        pass
