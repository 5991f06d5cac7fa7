"""Workers: heartbeats of their own, and names that no other process has."""

import threading
import time

import pytest

from trainer.config import Supervised
from trainer.engine.preemption import StopRequest
from trainer.engine.resources import Resources
from trainer.tune import heartbeat
from trainer.tune.coordinator import HeartbeatReply, NoTrial
from trainer.tune.heartbeat import Heartbeat
from trainer.tune.layout import Layout
from trainer.tune.protocol import LockedCoordinator
from trainer.tune.space import Objective, Random, Search, Uniform
from trainer.tune.study import Limits, Study
from trainer.tune.trial_process import TrialSettings
from trainer.tune.worker import run_trials


@pytest.fixture
def study(tmp_path):
    search = Search(Objective("eval/loss"), (Uniform("model.dropout", 0.0, 0.5),), Random())
    return Study(Layout(tmp_path), search, Supervised(), Limits(4), timeout=0.3)


@pytest.fixture(autouse=True)
def frequent(monkeypatch):
    monkeypatch.setattr(heartbeat, "_SECONDS", 0.05)


def test_busy_worker_keeps_its_trial(study):
    trial_id, lost = study.claim("a"), threading.Event()
    beats = Heartbeat(LockedCoordinator(study, threading.Lock()), "a", trial_id, lost.set)
    # As long as a copy of checkpoints to a bucket, which blocks the thread of the worker.
    time.sleep(0.6)
    study.expire()
    assert study.trials[trial_id].status == "running"
    assert beats.check() is HeartbeatReply.CONTINUE
    beats.close()
    time.sleep(0.4)
    study.expire()
    assert study.claim("b") == trial_id

    Heartbeat(study, "a", trial_id, lost.set)
    assert lost.wait(5.0)


def test_error_of_a_heartbeat_reaches_the_worker():
    class Broken:
        def heartbeat(self, *_):
            raise RuntimeError("broken")

    beats = Heartbeat(Broken(), "a", "0000", lambda: None)
    time.sleep(0.3)
    with pytest.raises(RuntimeError, match="broken"):
        beats.check()


def test_two_workers_of_one_name_get_two_trials(study, tmp_path):
    names = []

    class Recorder:
        def claim(self, worker):
            names.append(worker)
            return NoTrial.DONE

    settings = TrialSettings(Layout(tmp_path), "eval/loss", 1, (), ())
    for _ in range(2):
        run_trials(Recorder(), settings, "worker-0", [Resources()], StopRequest())
    assert [name.partition("@")[0] for name in names] == ["worker-0/0"] * 2
    assert [study.claim(name) for name in names] == ["0000", "0001"]
