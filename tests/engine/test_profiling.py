import io

import pytest
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from trainer.cli.main import run
from trainer.compat.keras import tf
from trainer.engine.checkpoints import Checkpoints
from trainer.engine.loop import Loop
from trainer.engine.metric_writers import Memory
from trainer.engine.profiling import Profiler
from trainer.engine.schedule import Schedule
from trainer.errors import Interrupted

SCHEDULE = Schedule(
    total_steps=60,
    report_every=20,
    evaluate_every=20,
    checkpoint_every=20,
    best_metric="score",
    more_is_better=True,
    early_stopping=0,
    nan_rollbacks=0,
)


class Adder:
    """A task that adds up its steps in a compiled function."""

    step_name = "step"
    headline = ("train/loss",)
    best_state = None

    def __init__(self, steps_per_iteration=1):
        self.steps_per_iteration = steps_per_iteration
        self.sum = tf.Variable(0.0)
        self.parameters = [self.sum]
        self.state = {"sum": self.sum}
        self.local_state = self.accumulators = {}
        self.ends = []

    @tf.function
    def add_up(self, iterations):
        for _ in tf.range(iterations):
            self.sum.assign_add(1.0)

    def start(self, step):
        self.ends.append(step)

    def advance(self, iterations):
        self.add_up(tf.constant(iterations))
        self.ends.append(self.ends[-1] + iterations * self.steps_per_iteration)
        return 0.0

    def metrics(self):
        return {"loss": float(self.sum)}

    def reset_metrics(self):
        pass

    def throughput(self, steps_per_second):
        del steps_per_second
        return {}

    def evaluate(self):
        return {"score": 0.0}


def train(folder, task, steps, stop=lambda: False):
    """Runs the loop; returns what it says."""
    stream = io.StringIO()
    profiler = Profiler(steps, task.steps_per_iteration, str(folder / "tensorboard"))
    loop = Loop(
        task,
        SCHEDULE,
        Checkpoints(str(folder / "checkpoints"), keep=2),
        Memory(),
        stop_requested=stop,
        stream=stream,
        profiler=profiler,
    )
    try:
        loop.run()
    finally:
        said = stream.getvalue()
        assert ("the trace" in said) == bool(traces(folder))
    return said


def traces(folder):
    return sorted((folder / "tensorboard").glob("plugins/profile/*/*.xplane.pb"))


def calls(folder, name):
    """How often an event of a name is in the only trace of a run."""
    (path,) = traces(folder)
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    return sum(
        plane.event_metadata[event.metadata_id].name == name
        for plane in space.planes
        for line in plane.lines
        for event in line.events
    )


def test_a_trace_begins_and_ends_at_its_steps(tmp_path):
    task = Adder()
    said = train(tmp_path, task, (13, 33))
    assert {13, 33} <= set(task.ends)
    assert f"the trace from step 13 to 33 is in {tmp_path}/tensorboard/plugins/profile" in said
    within = [end for end in task.ends if 13 < end <= 33]
    assert calls(tmp_path, "add_up") == calls(tmp_path, "train") == len(within)


def test_iterations_of_several_steps_are_traced_whole(tmp_path):
    task = Adder(steps_per_iteration=4)
    assert "from step 8 to 12 " in train(tmp_path, task, (9, 10))
    assert calls(tmp_path, "add_up") == 1


def test_no_steps_no_trace(tmp_path):
    train(tmp_path, Adder(), None)
    assert not traces(tmp_path)


def test_a_worker_that_writes_nothing_has_the_same_borders(tmp_path):
    silent = Profiler((9, 10), 4)
    assert silent.borders == Profiler((9, 10), 4, str(tmp_path)).borders == (8, 12)
    silent.start(8)
    assert silent.stop(12) == ""


def test_a_stop_or_the_end_of_the_run_ends_the_trace(tmp_path):
    stopped = Adder()
    with pytest.raises(Interrupted):
        train(tmp_path / "stopped", stopped, (0, 50), stop=lambda: stopped.ends[-1] >= 20)
    assert calls(tmp_path / "stopped", "add_up") == len(stopped.ends) - 1
    assert "from step 50 to 60 " in train(tmp_path / "ended", Adder(), (50, 100))


def test_a_resumed_run_traces_what_is_left_or_says_that_nothing_is(tmp_path):
    for steps, expected in (
        ((5, 40), "the trace from step 20 to 40"),
        ((5, 20), "nothing is profiled: steps 5 to 20 are not among 20 to 60"),
        ((60, 70), "nothing is profiled: steps 60 to 70 are not among 20 to 60"),
    ):
        folder = tmp_path / f"{steps}"
        begun = Adder()
        with pytest.raises(Interrupted):
            train(folder, begun, None, stop=lambda task=begun: task.ends[-1] >= 20)
        assert expected in train(folder, Adder(), steps)


def test_a_run_is_bit_for_bit_the_same_with_a_trace(tmp_path, state_digest, capsys):
    arguments = (
        "train", "--config=configs/digits_cnn.py", "--config.train.steps=12",
        "--config.model.filters=2", "--config.train.evaluate_every=6",
    )  # fmt: skip
    assert run([*arguments, f"--workdir={tmp_path / 'plain'}"]) == 0
    profiled = tmp_path / "profiled"
    assert run([*arguments, f"--workdir={profiled}", "--profile_steps=3,8"]) == 0
    assert "the trace from step 3 to 8 is in" in capsys.readouterr().err
    assert state_digest(profiled) == state_digest(tmp_path / "plain")
    assert calls(profiled, "_train_chunk") >= 2
    assert (profiled / "config.json").read_bytes() == (
        tmp_path / "plain" / "config.json"
    ).read_bytes()
