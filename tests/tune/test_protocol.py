"""A chief and workers on loopback: real gRPC, trials without training."""

import socket
import threading

import pytest

from trainer.config.supervised import Supervised
from trainer.errors import Interrupted, UserError
from trainer.tune import protocol
from trainer.tune.coordinator import HeartbeatReply, NoTrial
from trainer.tune.layout import Layout
from trainer.tune.outcome import Outcome, TrialStatus
from trainer.tune.space import Objective, Random, Search, Uniform
from trainer.tune.study import Limits, Study

SEARCH = Search(Objective("eval/accuracy", "max"), (Uniform("model.dropout", 0.0, 0.5),), Random())


@pytest.fixture
def address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def open_study(path, timeout=60.0):
    return Study(Layout(path), SEARCH, Supervised(), Limits(12), timeout=timeout)


def served(study, address):
    return protocol.serve(protocol.LockedCoordinator(study, threading.Lock()), address)


def finish(coordinator, layout, worker, trial_id):
    Outcome(TrialStatus.FINISHED, 0.123456789012345).write(layout.outcome(trial_id))
    coordinator.end(worker, trial_id)


def test_workers_share_a_search_and_run_each_trial_once(tmp_path, address):
    study = open_study(tmp_path)
    ran = []

    def worker(name):
        coordinator = protocol.RemoteCoordinator(address, 60.0, lambda: False)
        while (trial_id := coordinator.claim(name)) is not NoTrial.DONE:
            if trial_id is not NoTrial.WAIT:
                assert coordinator.heartbeat(name, trial_id) is HeartbeatReply.CONTINUE
                ran.append(trial_id)
                finish(coordinator, study.layout, name, trial_id)

    with served(study, address):
        threads = [threading.Thread(target=worker, args=(f"worker-{i}",)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(ran) == [f"{number:04d}" for number in range(12)]
    assert all(len(trial.claims) == 1 for trial in study.trials.values())
    assert study.best.score == 0.123456789012345
    assert study.is_over
    assert study.workers_to_notify() == set()


def test_worker_survives_a_restart_of_the_chief(tmp_path, address):
    coordinator = protocol.RemoteCoordinator(address, 60.0, lambda: False)
    assert coordinator.claim("a") is NoTrial.WAIT
    study = open_study(tmp_path)
    with served(study, address):
        while (trial_id := coordinator.claim("a")) is NoTrial.WAIT:
            pass
        assert coordinator.heartbeat("a", "of another search") is HeartbeatReply.LOST
        coordinator.end("a", "of another search")
    assert coordinator.heartbeat("a", trial_id) is HeartbeatReply.CONTINUE
    finish(coordinator, study.layout, "a", trial_id)
    assert study.trials[trial_id].is_open
    again = open_study(tmp_path)
    with served(again, address):
        while (claimed := coordinator.claim("a")) is NoTrial.WAIT:
            pass
        # The end was not received, so the trial still belongs to the worker.
        assert claimed == trial_id
        finish(coordinator, study.layout, "a", trial_id)
        assert not again.trials[trial_id].is_open


def test_disconnected_worker_gives_up_its_trial_before_the_chief_does(address):
    coordinator = protocol.RemoteCoordinator(address, 0.0, lambda: False)
    assert coordinator.heartbeat("a", "0000") is HeartbeatReply.LOST


def test_worker_does_not_wait_forever(address):
    with pytest.raises(Interrupted, match="does not reply"):
        protocol.RemoteCoordinator(address, 60.0, lambda: False, patience=-1.0).claim("a")


def test_port_in_use_is_a_user_error(tmp_path, address):
    study = open_study(tmp_path)
    with (
        served(study, address),
        pytest.raises(UserError, match="the chief cannot listen at"),
        served(study, address),
    ):
        pass
