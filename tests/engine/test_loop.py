import contextlib
import dataclasses
import io
import json
import math
import shutil

import pytest

from trainer.compat.keras import tf
from trainer.engine.checkpoints import Checkpoints
from trainer.engine.loop import Loop, LoopState
from trainer.engine.metric_writers import Memory
from trainer.engine.schedule import Schedule
from trainer.errors import Interrupted, UserError

SCHEDULE = Schedule(
    total_steps=100,
    report_every=10,
    evaluate_every=20,
    checkpoint_every=20,
    best_metric="score",
    more_is_better=True,
    early_stopping=0,
    nan_rollbacks=0,
)


class Counter:
    """A task whose state is a hash-like number: any step lost or repeated changes it."""

    step_name = "step"
    headline = ("train/loss", "eval/score")

    def __init__(self, steps_per_iteration=1, scores=None, nan_at=(), breaks_at=()):
        self.steps_per_iteration = steps_per_iteration
        self.value = tf.Variable(1, dtype=tf.int64)
        self.sum = tf.Variable(0.0, dtype=tf.float64)
        self.count = tf.Variable(0, dtype=tf.int64)
        self.scale = tf.Variable(1.0)
        self.weight = tf.Variable(1.0)
        self.parameters = [self.weight, self.value]
        self.state = {"value": self.value, "weight": self.weight}
        self.local_state = {}
        self.best_state = None
        self.accumulators = {"sum": self.sum, "count": self.count}
        self.scores = scores or {}
        self.nan_at = nan_at
        # The steps whose update breaks the weights, with the learning rates at which it does.
        self.breaks_at = dict(breaks_at)
        self.chunks = []

    def start(self, step):
        self.step = step

    def advance(self, iterations):
        self.chunks.append(iterations)
        for _ in range(iterations):
            self.step += self.steps_per_iteration
            self.value.assign((self.value * 1103515245 + self.step) % 2**31)
            loss = math.nan if self.step in self.nan_at and self.scale == 1.0 else float(self.step)
            if float(self.scale) in self.breaks_at.get(self.step, ()):
                self.weight.assign(math.inf)
            self.sum.assign_add(loss)
            self.count.assign_add(1)
        return 0.0

    def metrics(self):
        return {"loss": float(self.sum) / float(max(1, self.count))}

    def reset_metrics(self):
        self.sum.assign(0.0)
        self.count.assign(0)

    def throughput(self, steps_per_second):
        del steps_per_second
        return {}

    def evaluate(self):
        return {"score": float(self.scores.get(self.step, self.step))}

    def scale_learning_rate(self, factor):
        self.scale.assign(factor)


def make_loop(directory, task, schedule=SCHEDULE, writer=None, stop=lambda: False, stream=None):
    return Loop(
        task,
        schedule,
        Checkpoints(str(directory), keep=2),
        writer or Memory(),
        stop_requested=stop,
        stream=stream or io.StringIO(),
        clock=lambda: 0.0,
    )


def stop_after(chunks):
    asked = iter(range(10**6))
    return lambda: next(asked) >= chunks


def test_reports_and_evaluations_fall_on_their_steps(tmp_path):
    writer = Memory()
    task = Counter()
    make_loop(tmp_path, task, writer=writer).run()
    train = [record for record in writer.records if record.split == "train"]
    assert [record.step for record in train] == list(range(10, 101, 10))
    # The mean of 1..10, of 11..20, and so on: nothing is counted twice or left out.
    assert [record.metrics["loss"] for record in train] == [5.5 + 10 * n for n in range(10)]
    assert [r.step for r in writer.records if r.split == "eval"] == [20, 40, 60, 80, 100]


def test_the_first_chunk_is_one_iteration_and_chunks_stop_at_borders(tmp_path):
    task = Counter()
    make_loop(tmp_path, task).run()
    assert task.chunks[0] == 1
    assert sum(task.chunks) == 100
    borders = [sum(task.chunks[: n + 1]) for n in range(len(task.chunks))]
    assert set(range(10, 101, 10)) <= set(borders)


@pytest.mark.parametrize("chunks", [0, 1, 2, 3, 5, 8])
def test_a_stopped_run_continues_as_if_never_stopped(tmp_path, chunks):
    whole, whole_writer = Counter(), Memory()
    make_loop(tmp_path / "whole", whole, writer=whole_writer).run()

    writer = Memory()
    with pytest.raises(Interrupted, match="state saved"):
        make_loop(tmp_path / "cut", Counter(), writer=writer, stop=stop_after(chunks)).run()
    resumed = Counter()
    make_loop(tmp_path / "cut", resumed, writer=writer).run()
    assert resumed.value.numpy() == whole.value.numpy()
    assert writer.records == whole_writer.records


def test_records_after_the_checkpoint_are_forgotten(tmp_path):
    writer = Memory()
    task = Counter()

    class Killed(Exception):
        pass

    def kill_after_50():
        if task.step > 50:
            raise Killed
        return False

    with pytest.raises(Killed):
        make_loop(tmp_path, task, writer=writer, stop=kill_after_50).run()
    # Reported at 50, and at 40 in the checkpoint.
    assert writer.records[-1].step == 50
    make_loop(tmp_path, Counter(), writer=writer).run()
    steps = [record.step for record in writer.records if record.split == "train"]
    assert steps == list(range(10, 101, 10))


def test_best_and_newest_checkpoints_are_kept(tmp_path):
    task = Counter(scores={40: 999.0})
    loop = make_loop(tmp_path, task)
    loop.run()
    assert loop.state.best_step == 40
    assert Checkpoints(str(tmp_path), keep=2).steps() == [100, 80, 40]


def test_among_equals_the_later_is_the_best(tmp_path):
    loop = make_loop(tmp_path, Counter(scores={40: 999.0, 60: 999.0}))
    loop.run()
    assert loop.state.best_step == 60


def test_no_state_is_saved_twice(tmp_path, monkeypatch):
    saved = []
    save = Checkpoints.save

    def counted(self, step, *arguments):
        saved.append(step)
        save(self, step, *arguments)

    monkeypatch.setattr(Checkpoints, "save", counted)
    make_loop(tmp_path, Counter()).run()
    assert saved == [0, 20, 40, 60, 80, 100]


def test_weights_broken_by_the_last_update_are_not_saved(tmp_path):
    stream = io.StringIO()
    task = Counter(breaks_at={40: (1.0,)})
    loop = make_loop(tmp_path, task, dataclasses.replace(SCHEDULE, nan_rollbacks=1), stream=stream)
    loop.run()
    assert "weights are not finite at step 40; rolling back to 20" in stream.getvalue()
    assert loop.state.step == 100
    assert float(task.weight) == 1.0


def test_a_stop_does_not_save_broken_weights(tmp_path):
    task = Counter(breaks_at={9: (1.0,)})
    schedule = dataclasses.replace(SCHEDULE, nan_rollbacks=1)
    with pytest.raises(Interrupted):
        make_loop(tmp_path, task, schedule, stop=lambda: task.step == 9).run()
    newest, _ = Checkpoints(str(tmp_path), keep=2).newest()
    assert newest.step == 0
    assert newest.loop_state["rollbacks"] == 1


def test_each_roll_back_goes_one_checkpoint_further_back(tmp_path):
    stream = io.StringIO()
    task = Counter(breaks_at={75: (1.0, 0.5), 55: (0.25,)})
    schedule = dataclasses.replace(SCHEDULE, nan_rollbacks=3)
    loop = Loop(
        task,
        schedule,
        Checkpoints(str(tmp_path), keep=4),
        Memory(),
        lambda: False,
        stream=stream,
    )
    loop.run()
    rolled_back = [line.split("rolling back to ")[1].split()[0] for line in lines_of(stream)]
    # The newest; the second newest of 20, 40, 60; the third newest of 0, 20, 40.
    assert rolled_back == ["60", "40", "0"]
    assert float(task.scale) == 0.125


def test_a_killed_run_does_not_return_to_what_it_rolled_back_from(tmp_path):
    class Killed(Exception):
        pass

    class KilledAtOnce(Counter):
        def advance(self, iterations):
            if self.scale < 0.5:
                raise Killed
            return super().advance(iterations)

    schedule = dataclasses.replace(SCHEDULE, nan_rollbacks=2)
    task = KilledAtOnce(breaks_at={75: (1.0, 0.5)})
    with pytest.raises(Killed):
        make_loop(tmp_path, task, schedule).run()
    newest, _ = Checkpoints(str(tmp_path), keep=2).newest()
    assert newest.step == 40
    assert newest.loop_state["rollbacks"] == 2


def lines_of(stream):
    return [line for line in stream.getvalue().splitlines() if "rolling back" in line]


def test_an_evaluation_that_is_not_finite_is_never_the_best(tmp_path):
    schedule = dataclasses.replace(SCHEDULE, early_stopping=2)
    scores = {20: math.nan, 40: 1.0, 60: math.nan, 80: 2.0, 100: 1.0}
    loop = make_loop(tmp_path, Counter(scores=scores), schedule)
    loop.run()
    assert loop.state.step == 100
    assert loop.state.best_step == 80


def test_a_run_without_a_complete_checkpoint_starts_again_without_old_records(tmp_path):
    writer, stream = Memory(), io.StringIO()
    whole = Counter()
    make_loop(tmp_path, whole, writer=writer).run()
    records = writer.records
    for manifest in tmp_path.glob("*/manifest.json"):
        manifest.unlink()
    again = Counter()
    make_loop(tmp_path, again, writer=writer, stream=stream).run()
    assert "no complete checkpoint is left; starting again" in stream.getvalue()
    assert again.value.numpy() == whole.value.numpy()
    assert writer.records == records


def test_the_state_is_saved_before_an_evaluation(tmp_path):
    class Killed(Exception):
        pass

    class KilledInEvaluation(Counter):
        def evaluate(self):
            raise Killed

    schedule = dataclasses.replace(SCHEDULE, checkpoint_every=1000, evaluate_every=50)
    whole_writer, writer = Memory(), Memory()
    make_loop(tmp_path / "whole", Counter(), schedule, whole_writer).run()
    with pytest.raises(Killed):
        make_loop(tmp_path / "cut", KilledInEvaluation(), schedule, writer).run()
    newest, _ = Checkpoints(str(tmp_path / "cut"), keep=2).newest()
    assert newest.step == 50
    make_loop(tmp_path / "cut", Counter(), schedule, writer).run()
    assert writer.records == whole_writer.records


def test_a_stop_is_immediate_where_nothing_would_be_lost(tmp_path):
    entered = []

    @contextlib.contextmanager
    def stop_at_once(message):
        entered.append(message)
        yield

    schedule = dataclasses.replace(SCHEDULE, evaluate_every=50)
    Loop(
        Counter(),
        schedule,
        Checkpoints(str(tmp_path), keep=2),
        Memory(),
        lambda: False,
        stop_at_once,
        stream=io.StringIO(),
    ).run()
    # Preparation, the first chunk, which compiles, and both evaluations.
    steps = [message.split()[3].rstrip(",") for message in entered]
    assert steps == ["0", "0", "50", "100"]


def test_a_smaller_metric_can_be_the_better(tmp_path):
    loop = make_loop(tmp_path, Counter(), dataclasses.replace(SCHEDULE, more_is_better=False))
    loop.run()
    assert loop.state.best_step == 20


def test_early_stopping_counts_evaluations_without_a_better_one(tmp_path):
    schedule = dataclasses.replace(SCHEDULE, early_stopping=2)
    scores = {20: 1.0, 40: 2.0, 60: 1.5, 80: 2.0, 100: 9.0}
    loop = make_loop(tmp_path, Counter(scores=scores), schedule)
    loop.run()
    assert loop.state.step == 80
    assert loop.state.stopped_early
    # The same schedule again is finished; a longer one continues.
    again = Counter(scores=scores)
    make_loop(tmp_path, again, schedule).run()
    assert again.chunks == []
    longer = make_loop(
        tmp_path, Counter(scores=scores), dataclasses.replace(schedule, total_steps=200)
    )
    longer.run()
    assert longer.state.step > 80


@pytest.mark.parametrize("sign", [1, -1])
def test_a_run_ends_at_the_evaluation_that_reaches_a_value(sign, tmp_path):
    schedule = dataclasses.replace(SCHEDULE, more_is_better=sign > 0, stop_at=sign * 2.0)
    scores = {20: 1.0, 40: math.nan, 60: 2.0, 80: 9.0, 100: 9.0}
    task = Counter(scores={step: sign * value for step, value in scores.items()})
    loop = make_loop(tmp_path, task, schedule)
    loop.run()
    assert loop.state.step == 60
    assert loop.state.stopped_early
    assert loop.state.best_step == 60


def test_a_loss_that_is_not_finite_rolls_back_with_half_the_learning_rate(tmp_path):
    stream = io.StringIO()
    task = Counter(nan_at=(47,))
    schedule = dataclasses.replace(SCHEDULE, nan_rollbacks=1)
    writer = Memory()
    loop = make_loop(tmp_path, task, schedule, writer, stream=stream)
    loop.run()
    assert loop.state.step == 100
    assert float(task.scale) == 0.5
    assert "rolling back to 40 with the learning rate times 0.5" in stream.getvalue()
    assert all(math.isfinite(record.metrics.get("loss", 0.0)) for record in writer.records)
    assert [r.step for r in writer.records if r.split == "train"] == list(range(10, 101, 10))


def test_after_the_last_roll_back_the_run_fails_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"lower optimizer\.learning_rate") as caught:
        make_loop(tmp_path, Counter(nan_at=(47,))).run()
    assert "the loss is nan at step 50" in str(caught.value)
    newest, _ = Checkpoints(str(tmp_path), keep=2).newest()
    assert newest.step == 40


def test_a_stride_counts_steps_and_rounds_borders_up(tmp_path):
    task = Counter(steps_per_iteration=8)
    schedule = dataclasses.replace(
        SCHEDULE, total_steps=96, report_every=24, evaluate_every=48, checkpoint_every=48
    )
    writer = Memory()
    make_loop(tmp_path, task, schedule, writer).run()
    assert [r.step for r in writer.records if r.split == "train"] == [24, 48, 72, 96]
    assert sum(task.chunks) == 12


def test_a_corrupt_checkpoint_is_skipped_and_named(tmp_path):
    whole = Counter()
    make_loop(tmp_path / "whole", whole).run()
    with pytest.raises(Interrupted):
        make_loop(tmp_path / "cut", Counter(), stop=stop_after(9)).run()
    checkpoints = Checkpoints(str(tmp_path / "cut"), keep=2)
    newest, before = checkpoints.steps()[:2]
    data = tmp_path / "cut" / f"{newest:08d}" / "state-0.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1])

    stream, resumed = io.StringIO(), Counter()
    make_loop(tmp_path / "cut", resumed, stream=stream).run()
    assert f"{newest:08d} is corrupt (state-0.data-00000-of-00001" in stream.getvalue()
    assert f"resuming at step {before} " in stream.getvalue()
    assert resumed.value.numpy() == whole.value.numpy()


def test_throughput_is_announced_once(tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.engine.loop._WARM_UP_SECONDS", 0.0)
    stream = io.StringIO()
    make_loop(tmp_path, Counter(), stream=stream).run()
    assert stream.getvalue().count("waiting for input") == 1


def test_the_loop_state_is_json(tmp_path):
    loop = make_loop(tmp_path, Counter())
    loop.run()
    assert LoopState(**json.loads(json.dumps(dataclasses.asdict(loop.state)))) == loop.state


def test_a_run_of_which_only_a_part_of_the_best_is_left_does_not_start_again(tmp_path):
    def task():
        one = Counter(scores={20: 1000.0})
        one.best_state = {"weight": one.weight}
        return one

    make_loop(tmp_path, task()).run()
    checkpoints = Checkpoints(str(tmp_path), keep=2)
    best = checkpoints.newest_partial()
    assert best.step == 20
    for step in checkpoints.steps():
        if step != best.step:
            shutil.rmtree(tmp_path / f"{step:08d}")
    with pytest.raises(UserError, match="no checkpoint is left to resume from"):
        make_loop(tmp_path, task()).run()
    assert checkpoints.newest_partial() == best


@pytest.mark.parametrize(("stop_at", "last"), [(40.0, 40), (41.0, 60), (None, 100)])
def test_a_run_stops_at_the_value_it_is_to_reach(tmp_path, stop_at, last):
    loop = make_loop(tmp_path, Counter(), dataclasses.replace(SCHEDULE, stop_at=stop_at))
    loop.run()
    assert loop.state.step == last
    assert loop.state.stopped_early == (stop_at is not None)


def test_loops_of_one_process_may_have_weights_of_different_ranks(tmp_path):
    shapes = [(3,), (2, 3, 4), (), (5, 6)]
    for number in range(8):
        task = Counter()
        order = shapes[number % 4 :] + shapes[: number % 4]
        task.parameters = [tf.Variable(tf.zeros(shape)) for shape in order]
        make_loop(tmp_path / str(number), task).run()
        assert task.step == 100
