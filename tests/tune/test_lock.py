"""One search per directory while any of its processes is running."""

import subprocess
import sys
import time

import pytest

from trainer.errors import UserError
from trainer.tune import lock
from trainer.tune.layout import Layout

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture(autouse=True)
def short_timeout(monkeypatch):
    monkeypatch.setattr(lock, "_TIMEOUT_SECONDS", 0.2)


def test_second_search_is_refused_until_the_first_has_ended(tmp_path):
    layout = Layout(tmp_path / "search")
    refused = pytest.raises(UserError, match="another search is running")
    with lock.held(layout), refused, lock.held(layout):
        pass
    with lock.held(layout):
        pass


def test_unwritable_directory_is_a_user_error(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "search"):
        refused = pytest.raises(UserError, match="is not writable")
        with refused, lock.held(Layout(path)):
            pass


def test_running_trial_holds_the_lock(tmp_path):
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
