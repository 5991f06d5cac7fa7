"""A chief and workers on loopback: real gRPC, trials that last no time."""

import socket
import threading
import time

import pytest

from trainer.config.supervised import Supervised
from trainer.errors import Interrupted, UserError
from trainer.tune import protocol
from trainer.tune.coordinator import DONE, GO_ON, LOST, WAIT
from trainer.tune.files import Layout
from trainer.tune.outcome import Outcome
from trainer.tune.space import Objective, Random, Search, Uniform
from trainer.tune.study import Study

SEARCH = Search(Objective("eval/accuracy", "max"), (Uniform("model.dropout", 0.0, 0.5),), Random())


@pytest.fixture
def address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def open_study(path, timeout=60.0):
    return Study(Layout(path), SEARCH, Supervised(), 12, timeout=timeout)


def finish(board, layout, worker, trial_id):
    Outcome("finished", 0.123456789012345, "").write(layout.outcome(trial_id))
    board.end(worker, trial_id)


def test_workers_share_a_search_and_run_no_trial_twice(tmp_path, address):
    study = open_study(tmp_path)
    ran = []

    def worker(name):
        board = protocol.RemoteBoard(address, 60.0, lambda: False)
        while (trial_id := board.claim(name)) != DONE:
            if trial_id != WAIT:
                assert board.beat(name, trial_id) == GO_ON
                ran.append(trial_id)
                finish(board, study.layout, name, trial_id)

    with protocol.serving(study, address):
        threads = [threading.Thread(target=worker, args=(f"worker-{i}",)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(ran) == [f"{number:04d}" for number in range(12)]
    assert all(len(trial.claims) == 1 for trial in study.trials.values())
    assert study.best.score == 0.123456789012345
    assert study.is_over
    assert study.workers_to_tell() == set()


def test_a_worker_outlives_its_chief(tmp_path, address):
    board = protocol.RemoteBoard(address, 60.0, lambda: False)
    assert board.claim("a") == WAIT
    study = open_study(tmp_path)
    with protocol.serving(study, address):
        while (trial_id := board.claim("a")) == WAIT:
            pass
    assert board.beat("a", trial_id) == GO_ON
    finish(board, study.layout, "a", trial_id)
    assert study.trials[trial_id].is_open
    again = open_study(tmp_path)
    with protocol.serving(again, address):
        while (claimed := board.claim("a")) == WAIT:
            pass
        # Nobody heard of its end, so it is its own still.
        assert claimed == trial_id
        finish(board, study.layout, "a", trial_id)
        assert not again.trials[trial_id].is_open


def test_a_worker_cut_off_gives_up_its_trial_before_the_chief_does(address):
    board = protocol.RemoteBoard(address, 0.0, lambda: False)
    assert board.beat("a", "0000") == LOST


def test_slots_that_are_cut_off_do_not_wait_for_an_answer_one_after_the_other():
    # It takes connections and never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        board = protocol.RemoteBoard(address, 2.0, lambda: False)
        began = time.monotonic()
        while board.beat("a/0", "0000") != LOST:
            pass
        assert [board.beat(f"a/{slot}", f"{slot:04d}") for slot in range(1, 9)] == [LOST] * 8
        assert time.monotonic() - began < 2.0


def test_a_worker_does_not_wait_for_ever(address):
    with pytest.raises(Interrupted, match="does not answer"):
        protocol.RemoteBoard(address, 60.0, lambda: False, patience=-1.0).claim("a")


def test_a_port_that_is_taken_is_one_line(tmp_path, address):
    study = open_study(tmp_path)
    with (
        protocol.serving(study, address),
        pytest.raises(UserError, match="Received: "),
        protocol.serving(study, address),
    ):
        pass
