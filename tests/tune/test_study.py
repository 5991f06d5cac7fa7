"""The state of a search: each trial runs once and none is lost when processes die."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import (
    SGD,
    Adam,
    CosineSchedule,
    ReinforcementLearning,
    Supervised,
    Train,
    loading,
)
from trainer.config.inspection import differences
from trainer.errors import UserError
from trainer.io.fence import Fence, Fenced
from trainer.tune.coordinator import HeartbeatReply, NoTrial
from trainer.tune.layout import Layout
from trainer.tune.outcome import Outcome, TrialStatus
from trainer.tune.space import (
    Bayesian,
    Choice,
    Grid,
    Hyperband,
    LogUniform,
    Objective,
    Random,
    Search,
    Uniform,
    When,
)
from trainer.tune.study import Limits, Study, was_closed

SEARCH = Search(
    Objective("eval/accuracy", "max"),
    (LogUniform("optimizer.learning_rate", 1e-4, 1e-1), Uniform("model.dropout", 0.0, 0.5)),
    Random(),
)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def open_study(path, search=SEARCH, max_trials=4, experiment=None, baseline=False, **more):
    limits = more.pop("limits", None) or Limits(max_trials)
    return Study(Layout(path), search, experiment or Supervised(), limits, baseline, **more)


def end(study, worker, trial_id, score=0.5, status="finished", reason=""):
    Outcome(TrialStatus(status), score, reason).write(study.layout.outcome(trial_id))
    study.end(worker, trial_id)


def test_each_trial_is_assigned_once(tmp_path):
    study = open_study(tmp_path, max_trials=2)
    assert [study.claim(worker) for worker in ("a", "b", "c")] == ["0000", "0001", NoTrial.WAIT]
    assert study.claim("a") == "0000"
    end(study, "a", "0000", 0.5)
    end(study, "b", "0001", None, "failed", "killed by SIGKILL")
    assert [study.claim(worker) for worker in ("a", "b", "c")] == [NoTrial.DONE] * 3
    assert study.best.id == "0000"
    assert study.trials["0001"].reason == "killed by SIGKILL"


@pytest.mark.parametrize("make", [Supervised, ReinforcementLearning])
def test_best_configuration_differs_from_its_trial_in_split_and_seed(tmp_path, make):
    space = SEARCH.space[:1]
    search = Search(Objective("eval/loss", "min"), space, Random(), executions=3)
    study = open_study(tmp_path, search, experiment=make(seed=7))
    trial_id = study.claim("a")
    trial = loading.load(str(study.layout.config(trial_id)))
    assert trial.evaluate.split == "validation"
    end(study, "a", trial_id)
    best = loading.load(str(study.layout.best))
    assert differences(trial, best) == [
        "evaluate.split: validation → test",
        "seed: 7 → 10",
    ]
    assert best.optimizer.learning_rate == study.trials[trial_id].values["optimizer.learning_rate"]


def test_resumed_search_proposes_the_same_trials(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    study = open_study(whole)
    while (trial_id := study.claim("a")) is not NoTrial.DONE:
        end(study, "a", trial_id, 1 / (1 + study.trials[trial_id].values["model.dropout"]))
    expected = {trial.id: trial.values for trial in study.trials.values()}

    claims = []
    while True:
        # A new process each time; the process of the first claim of each trial dies.
        trial_id = open_study(broken).claim("a")
        if trial_id is NoTrial.DONE:
            break
        again = open_study(broken)
        assert again.claim("a") == trial_id
        claims.append(trial_id)
        end(again, "a", trial_id, 1 / (1 + again.trials[trial_id].values["model.dropout"]))
    assert claims == ["0000", "0001", "0002", "0003"]
    assert {t.id: t.values for t in open_study(broken).trials.values()} == expected


def test_fewer_slots_resume_all_trials(tmp_path):
    study = open_study(tmp_path, max_trials=2)
    assert {study.claim("a"), study.claim("b")} == {"0000", "0001"}
    again = open_study(tmp_path, max_trials=2)
    for trial_id in ("0000", "0001"):
        assert again.claim("a") == trial_id
        end(again, "a", trial_id)
    assert again.claim("a") is NoTrial.DONE


def test_more_trials_extend_a_finished_search(tmp_path):
    study = open_study(tmp_path, max_trials=1)
    end(study, "a", study.claim("a"))
    assert study.claim("a") is NoTrial.DONE
    study.close()
    assert was_closed(study.layout)
    more = open_study(tmp_path, max_trials=2)
    assert not was_closed(more.layout)
    assert more.claim("a") == "0001"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"experiment": Supervised(seed=1)}, "seed: 0 → 1"),
        (
            {"search": Search(SEARCH.objective, SEARCH.space, Random(), seed=1)},
            "search seed: 0 → 1",
        ),
        ({"search": Search(SEARCH.objective, SEARCH.space[:1], Random())}, "search space"),
    ],
)
def test_directory_of_another_search_is_refused(tmp_path, change, named):
    open_study(tmp_path)
    with pytest.raises(UserError, match="another search") as error:
        open_study(tmp_path, **change)
    assert named in str(error.value)


def test_invalid_combination_is_a_refused_trial(tmp_path):
    space = (
        Choice("optimizer.kind", ("sgd",)),
        Choice("optimizer.nesterov", (True,)),
        Uniform("optimizer.momentum", 0.0, 0.9),
        Choice("model.pool", (1, 2)),
    )
    study = open_study(tmp_path, Search(SEARCH.objective, (*space[:2], space[3]), Random()), 2)
    assert study.claim("a") is NoTrial.DONE
    assert {trial.status for trial in study.trials.values()} == {"refused"}
    # The space causes it, so other trials may succeed.
    assert study.refusal == ""
    assert "nesterov=True requires momentum > 0" in study.trials["0000"].reason


def test_search_ends_if_its_first_trials_are_refused_alike(tmp_path):
    study = open_study(tmp_path)
    for number in range(3):
        assert study.refusal == ""
        trial_id = study.claim("a")
        assert trial_id == f"{number:04d}"
        end(study, "a", trial_id, None, "refused", "no data set of that name")
    assert study.refusal == "no data set of that name"
    again = open_study(tmp_path)
    assert again.claim("a") == "0000"
    end(again, "a", "0000")
    assert open_study(tmp_path).claim("a") == "0001"


@pytest.mark.parametrize(
    "ends",
    [
        ["refused one", "refused one", "refused two"],
        ["finished ", "refused one", "refused one", "refused one"],
        ["failed one", "failed one", "failed one"],
    ],
)
def test_search_continues_after_different_first_trials(tmp_path, ends):
    study = open_study(tmp_path)
    for status, _, reason in (text.partition(" ") for text in ends):
        end(study, "a", study.claim("a"), 0.5 if status == "finished" else None, status, reason)
    assert study.refusal == ""


def test_trial_without_heartbeats_is_reassigned_and_lost_for_its_worker(tmp_path):
    clock, lines = Clock(), []
    study = open_study(tmp_path, timeout=60.0, clock=clock, log=lines.append)
    trial_id = study.claim("a")
    clock.now = 50.0
    assert study.heartbeat("a", trial_id) is HeartbeatReply.CONTINUE
    clock.now = 105.0
    study.expire()
    assert study.trials[trial_id].status == "running"
    clock.now = 111.0
    study.expire()
    assert "no heartbeat from a for 61 s" in lines[-1]
    assert study.claim("b") == trial_id
    assert study.heartbeat("a", trial_id) is HeartbeatReply.LOST
    end(study, "a", trial_id, 0.9)
    assert study.trials[trial_id].is_open
    end(study, "b", trial_id, 0.5)
    assert study.trials[trial_id].score == 0.5
    assert study.trials[trial_id].claims == ["a", "b"]


def test_slow_worker_keeps_its_trial(tmp_path):
    clock = Clock()
    study = open_study(tmp_path, timeout=60.0, clock=clock)
    trial_id = study.claim("a")
    clock.now = 100.0
    study.expire()
    assert study.heartbeat("a", trial_id) is HeartbeatReply.CONTINUE
    assert study.claim("b") != trial_id


def test_restarted_chief_waits_for_heartbeats(tmp_path):
    clock = Clock()
    trial_id = open_study(tmp_path, timeout=60.0, clock=clock).claim("a")
    clock.now = 1000.0
    study = open_study(tmp_path, timeout=60.0, clock=clock)
    study.expire()
    assert study.claim("b") != trial_id
    assert study.heartbeat("a", trial_id) is HeartbeatReply.CONTINUE


def test_trial_that_loses_its_worker_again_and_again_fails(tmp_path):
    clock = Clock()
    study = open_study(tmp_path, max_trials=1, timeout=60.0, clock=clock)
    for worker in "abc":
        assert study.claim(worker) == "0000"
        clock.now += 61.0
        study.expire()
    assert study.claim("d") is NoTrial.DONE
    trial = study.trials["0000"]
    assert (trial.status, trial.reason) == ("failed", "its worker or host was lost 3 times")
    assert trial.claims == ["a", "b", "c"]


def test_only_claims_that_end_without_notice_count_as_lost(tmp_path):
    for _ in range(5):
        study = open_study(tmp_path, max_trials=1)
        assert study.claim("a") == "0000"
        end(study, "a", "0000", None, "waiting")
    assert study.trials["0000"].status == "waiting"
    for _ in range(3):
        assert open_study(tmp_path, max_trials=1).claim("a") == "0000"
    study = open_study(tmp_path, max_trials=1)
    assert study.claim("a") is NoTrial.DONE
    assert study.trials["0000"].status == "failed"


def test_trial_beyond_its_time_limit_is_stopped(tmp_path):
    clock = Clock()
    study = open_study(tmp_path, limits=Limits(2, trial_seconds=100.0), clock=clock)
    trial_id = study.claim("a")
    clock.now = 60.0
    assert study.heartbeat("a", trial_id) is HeartbeatReply.CONTINUE
    # An interruption does not count, but the time before it does.
    end(study, "a", trial_id, None, "waiting")
    clock.now = 1000.0
    assert study.claim("a") == trial_id
    clock.now = 1039.0
    assert study.heartbeat("a", trial_id) is HeartbeatReply.CONTINUE
    clock.now = 1040.0
    assert study.heartbeat("a", trial_id) is HeartbeatReply.STOP
    curve(study, trial_id, 0.3, 0.2)
    end(study, "a", trial_id, None, "stopped")
    trial = study.trials[trial_id]
    assert (trial.status, trial.score, trial.reason) == ("stopped", 0.3, "longer than 100 s")
    assert study.best is None
    assert study.claim("a") == "0001"


def test_time_limit_of_the_search_saves_trials_for_more_time(tmp_path):
    clock = Clock()
    study = open_study(tmp_path, limits=Limits(3, search_seconds=100.0), clock=clock)
    end(study, "a", study.claim("a"), 0.5)
    assert study.claim("a") == "0001"
    clock.now = 99.0
    assert study.heartbeat("a", "0001") is HeartbeatReply.CONTINUE
    clock.now = 100.0
    assert study.heartbeat("a", "0001") is HeartbeatReply.STOP
    assert study.claim("b") is NoTrial.WAIT
    end(study, "a", "0001", None, "stopped")
    assert study.claim("a") is study.claim("b") is NoTrial.DONE
    assert study.is_over
    clock.now = 5000.0
    again = open_study(tmp_path, limits=Limits(3, search_seconds=100.0), clock=clock)
    assert again.claim("a") is NoTrial.DONE
    more = open_study(tmp_path, limits=Limits(3, search_seconds=200.0), clock=clock)
    assert more.claim("a") == "0001"
    assert more.trials["0001"].lost == 0


def test_fence_names_the_worker_that_may_write(tmp_path):
    clock = Clock()
    study = open_study(tmp_path, timeout=60.0, clock=clock)
    trial_id = study.claim("a")
    fence = Fence(str(study.layout.fence(trial_id)), "a")
    clock.now = 61.0
    study.expire()
    fence.check()
    assert study.claim("b") == trial_id
    with pytest.raises(Fenced, match="another process has taken over"):
        fence.check()


def test_trial_of_another_search_is_lost(tmp_path):
    study = open_study(tmp_path)
    assert study.heartbeat("a", "0007") is HeartbeatReply.LOST
    study.end("a", "0007")


@pytest.mark.parametrize("oracle", [Random(), Grid(), Bayesian(initial=2), Hyperband(shortest=1)])
def test_first_trial_is_the_configuration_as_given(tmp_path, oracle):
    space = (
        Choice("optimizer.kind", ("adam", "sgd")),
        Uniform("optimizer.momentum", 0.0, 0.9, When("optimizer.kind", ("sgd",))),
        Choice("model.dropout", (0.1, 0.2)),
    )
    experiment = Supervised(optimizer=SGD(momentum=0.95, nesterov=True))
    search = Search(Objective("eval/accuracy", "max"), space, oracle)
    study = open_study(tmp_path, search, experiment=experiment, baseline=True)
    assert study.claim("a") == "0000"
    trial = loading.load(str(study.layout.config("0000")))
    assert {line.split(":")[0] for line in differences(trial, experiment)} <= {
        "evaluate.split",
        "optimizer.schedule_steps",
    }
    end(study, "a", "0000", 0.9)
    # Restored in between; the other trials are worse.
    study = open_study(tmp_path, search, experiment=experiment, baseline=True)
    while (trial_id := study.claim("a")) is not NoTrial.DONE:
        end(study, "a", trial_id, 0.8)
    assert list(study.trials) == ["0000", "0001", "0002", "0003"]
    assert study.best.id == "0000"
    best = loading.load(str(study.layout.best))
    assert differences(best, experiment) == ["seed: 1 → 0"]
    plain = open_study(tmp_path / "plain", search, experiment=experiment)
    assert not plain.trials[plain.claim("a")].baseline


def test_baseline_is_one_more_trial_of_a_complete_search(tmp_path):
    search = Search(SEARCH.objective, (Choice("model.dropout", (0.1, 0.2)),), Grid())
    study = open_study(tmp_path, search, 0, baseline=True)
    assert (study.max_trials, study.budget) == (3, 3.0)
    end(study, "a", study.claim("a"))
    # The flag counts only at the start of a search.
    again = open_study(tmp_path, search, 0, baseline=False)
    assert again.max_trials == 3
    while (trial_id := again.claim("a")) is not NoTrial.DONE:
        end(again, "a", trial_id)
    assert [trial.baseline for trial in again.trials.values()] == [True, False, False]


def curve(study, trial_id, *values):
    workdir = study.layout.workdir(trial_id, 0)
    workdir.mkdir(parents=True, exist_ok=True)
    records = [
        {"step": step, "split": "eval", "time": 0.0, "metrics": {"accuracy": value}}
        for step, value in enumerate(values, 1)
    ]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))


def test_trial_below_the_median_is_stopped_and_never_the_best(tmp_path):
    search = Search(SEARCH.objective, SEARCH.space, Random(), median_stopping=2)
    study = open_study(tmp_path, search)
    for score in (0.5, 0.7):
        trial_id = study.claim("a")
        curve(study, trial_id, 0.1)
        study.read_curves()
        assert study.heartbeat("a", trial_id) is HeartbeatReply.CONTINUE
        curve(study, trial_id, score, score)
        end(study, "a", trial_id, score)
    trial_id = study.claim("a")
    curve(study, trial_id, 0.65)
    study.read_curves()
    assert study.heartbeat("a", trial_id) is HeartbeatReply.CONTINUE
    curve(study, trial_id, 0.55, 0.58)
    study.read_curves()
    # A heartbeat reads no files: in a bucket that would delay the other workers.
    for finished in ("0000", "0001", trial_id):
        path = study.layout.workdir(finished, 0) / "metrics.jsonl"
        path.rename(path.with_suffix(".away"))
    assert study.heartbeat("a", trial_id) is HeartbeatReply.STOP
    end(study, "a", trial_id, None, "stopped")
    assert study.trials[trial_id].status == "stopped"
    assert study.trials[trial_id].score == 0.55
    assert study.best.score == 0.7


def test_hyperband_resumes_from_the_directory_of_a_trial(tmp_path):
    search = Search(SEARCH.objective, SEARCH.space, Hyperband(shortest=1.0))
    study = open_study(tmp_path, search, max_trials=0)
    parents = {}
    while (trial_id := study.claim("a")) is not NoTrial.DONE:
        parent = study.layout.parent(trial_id)
        if parent.exists():
            parents[trial_id] = parent.read_text()
        end(study, "a", trial_id, study.trials[trial_id].values["model.dropout"])
    assert parents
    for trial_id, parent in parents.items():
        longer, shorter = (
            loading.load(str(study.layout.config(name))) for name in (trial_id, parent)
        )
        assert longer.train.epochs > shorter.train.epochs
        assert len(differences(longer, shorter)) == 1
    assert loading.load(str(study.layout.best)).train.epochs == 10


def test_best_trial_of_hyperband_has_the_full_length(tmp_path):
    experiment = Supervised(
        train=Train(steps=90), optimizer=Adam(schedule=CosineSchedule()), seed=4
    )
    search = Search(SEARCH.objective, SEARCH.space, Hyperband(shortest=10))
    study = open_study(tmp_path, search, 0, experiment)
    while (trial_id := study.claim("a")) is not NoTrial.DONE:
        trial = study.trials[trial_id]
        # Longer trials score worse, as with returns that fluctuate.
        end(study, "a", trial_id, trial.values["model.dropout"] - trial.fraction)
        config = loading.load(str(study.layout.config(trial_id)))
        assert config.train.steps == round(90 * trial.fraction)
        assert config.optimizer.schedule_steps == 90
        best = loading.load(str(study.layout.best))
        assert (best.train.steps, best.optimizer.schedule_steps) == (90, 0)
    full = [trial for trial in study.trials.values() if trial.fraction == 1]
    assert study.best.score == max(trial.score for trial in full)
    assert study.best.score < max(trial.score for trial in study.trials.values())


def test_budget_is_counted_in_trainings_of_full_length(tmp_path):
    assert open_study(tmp_path / "random", max_trials=0).budget == 20
    assert open_study(tmp_path / "some", max_trials=3).budget == 3
    search = Search(SEARCH.objective, SEARCH.space, Hyperband(shortest=1.0))
    study = open_study(tmp_path / "hyperband", search, max_trials=0)
    while (trial_id := study.claim("a")) is not NoTrial.DONE:
        end(study, "a", trial_id, study.trials[trial_id].values["model.dropout"])
    assert len(study.trials) == study.max_trials
    assert sum(map(study.cost, study.trials.values())) == pytest.approx(study.budget)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "end", "fail", "timeout", "restart"]), st.sampled_from("abc")
    ),
    max_size=60,
)


@settings(max_examples=40, deadline=None)
@given(EVENTS)
def test_each_trial_has_one_worker_and_one_end_whatever_dies(tmp_path_factory, events):
    path, clock = tmp_path_factory.mktemp("study"), Clock()
    study = open_study(path, max_trials=5, timeout=60.0, clock=clock)
    holds, ends = {}, []
    for event, worker in events:
        clock.now += 1.0
        if event == "claim":
            trial_id = study.claim(worker)
            if trial_id in (NoTrial.WAIT, NoTrial.DONE):
                continue
            others = [name for name, held in holds.items() if held == trial_id and name != worker]
            assert all(study.heartbeat(name, trial_id) is HeartbeatReply.LOST for name in others)
            holds[worker] = trial_id
        elif event in ("end", "fail") and worker in holds:
            trial_id = holds.pop(worker)
            counted = study.heartbeat(worker, trial_id) is HeartbeatReply.CONTINUE
            end(study, worker, trial_id, *((0.5,) if event == "end" else (None, "failed")))
            ends += [trial_id] * counted
        elif event == "timeout":
            clock.now += 61.0
            study.expire()
        elif event == "restart":
            study = open_study(path, max_trials=5, timeout=60.0, clock=clock)
    assert len(ends) == len(set(ends))
    ended = [trial for trial in study.trials.values() if not trial.is_open]
    lost = {trial.id for trial in ended if trial.lost == 3}
    assert {trial.id for trial in ended} - lost == set(ends) - lost
    assert all(trial.status == "failed" for trial in ended if trial.id not in ends)
    runners = [trial.worker for trial in study.running]
    assert len(runners) == len(set(runners))
