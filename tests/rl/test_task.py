"""Collecting and learning as a whole: exact resume, replicas, updates, wrong input."""

import dataclasses
import functools
import time

import numpy as np
import pytest

from trainer.cli.main import run
from trainer.compat.keras import keras, tf
from trainer.config import (
    CNN,
    DQN,
    MLP,
    SGD,
    Adam,
    Environment,
    EpsilonGreedy,
    LinearSchedule,
    PrioritizedReplay,
    ReinforcementLearning,
    TrainRL,
    UniformReplay,
)
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.rl import seeds
from trainer.rl.experience.steps import Transition
from trainer.rl.task import ReinforcementLearningTask

SMALL = ReinforcementLearning(
    environment=Environment(time_limit=30),
    model=MLP(units=(16,)),
    agent=DQN(
        n_step=3,
        target_update_period=5,
        exploration=EpsilonGreedy(epsilon_decay_steps=500),
        replay=PrioritizedReplay(capacity=300, min_size=64),
    ),
    optimizer=Adam(learning_rate=1e-3, clip_norm=1.0),
    train=TrainRL(steps=2000, num_envs=4, collect_steps=2, gradient_steps=4, global_batch_size=32),
)


def task(config=SMALL, strategy="cpu", **options):
    options = {"precision": "float32", "virtual_devices": 2, **options}
    runtime = distribution.create(DistributionConfig(strategy=strategy, **options))
    made = ReinforcementLearningTask(config, runtime)
    made.start(0)
    return made


def write(made, name):
    """Saves a task as the engine does; returns the prefix."""
    accumulators = tf.train.Checkpoint(**made.accumulators)
    return tf.train.Checkpoint(accumulators=accumulators, **made.state, **made.local_state).write(
        str(made.folder / name)
    )


def read(made, prefix):
    accumulators = tf.train.Checkpoint(**made.accumulators)
    whole = tf.train.Checkpoint(accumulators=accumulators, **made.state, **made.local_state)
    whole.read(prefix).assert_existing_objects_matched()


def values(made):
    """Every bit of state that a checkpoint holds, by name."""
    names = tf.train.load_checkpoint(write(made, "look"))
    return {
        name: names.get_tensor(name)
        for name in names.get_variable_to_shape_map()
        if name.endswith("VARIABLE_VALUE") and "save_counter" not in name
    }


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(ReinforcementLearningTask, "folder", tmp_path, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        dataclasses.replace(
            SMALL, environment=Environment(name="CartPole-v1", backend="gymnasium")
        ),
        dataclasses.replace(
            SMALL,
            agent=DQN(distribution="categorical", replay=UniformReplay(capacity=300, min_size=64)),
        ),
        dataclasses.replace(
            SMALL,
            agent=DQN(
                distribution="quantile",
                num_quantiles=8,
                noisy=True,
                munchausen=True,
                replay=UniformReplay(capacity=300, min_size=64),
            ),
        ),
        dataclasses.replace(
            SMALL,
            environment=Environment(name="Catch-v0", frame_stack=4),
            model=CNN(filters=(4,), strides=2, pool=1, units=(8,)),
        ),
    ],
    ids=["in the graph", "gymnasium", "categorical", "noisy quantiles", "stacked frames"],
)
def test_a_restored_task_resumes_bit_for_bit(config):
    # Compilation takes most of the time, and one agent shows that it changes nothing.
    jit = "auto" if config is SMALL else "off"
    whole = task(config, jit=jit)
    whole.advance(60)

    first = task(config, jit=jit)
    first.advance(25)
    saved = write(first, "saved")
    second = task(config, jit=jit)
    read(second, saved)
    second.start(25 * second.steps_per_iteration)
    second.advance(35)

    expected, found = values(whole), values(second)
    assert set(expected) == set(found)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert whole.metrics() == second.metrics()


def test_chunk_lengths_do_not_change_the_result():
    one, many = task(), task()
    one.advance(40)
    for chunk in (1, 7, 32):
        many.advance(chunk)
    for (name, value), other in zip(values(one).items(), values(many).values(), strict=True):
        np.testing.assert_array_equal(value, other, err_msg=name)


@pytest.mark.parametrize(
    ("environment", "model"),
    [
        (SMALL.environment, SMALL.model),
        (
            Environment(name="Catch-v0", frame_stack=4),
            CNN(filters=(4,), strides=2, pool=1, units=(8,)),
        ),
    ],
    ids=["numbers", "stacked frames"],
)
def test_without_a_replay_in_checkpoints_it_is_filled_again(environment, model, capfd):
    train = dataclasses.replace(SMALL.train, checkpoint_replay=False)
    config = dataclasses.replace(SMALL, environment=environment, model=model, train=train)
    first = task(config, jit="off")
    first.advance(25)
    saved = write(first, "saved")
    assert not any("experience" in name for name in values(first))
    assert "replay" not in capfd.readouterr().err
    resumed = task(config, jit="off")
    read(resumed, saved)
    resumed.start(25 * resumed.steps_per_iteration)
    message = "checkpoints have no replay: 64 transitions are collected before learning continues"
    assert capfd.readouterr().err.endswith(f"{message}; starting new episodes\n")
    # A roll-back of the first process is the same, whatever its replay held.
    replay = first.learning.replays[0]
    replay.feedback(replay.example(1), tf.constant([np.nan]))
    read(first, saved)
    first.start(25 * first.steps_per_iteration)
    assert int(replay.size()) == 0
    updates = int(resumed.learner.optimizer.iterations)
    resumed.advance(7)
    assert int(resumed.learner.optimizer.iterations) == updates
    resumed.advance(30)
    first.advance(37)
    assert int(resumed.learner.optimizer.iterations) > updates
    assert int(first.learner.optimizer.iterations) > updates
    assert np.isfinite(first.metrics()["loss"])


@pytest.mark.parametrize("backend", ["tensorflow", "gymnasium"])
def test_two_replicas_keep_one_network_and_resume_bit_for_bit(backend):
    config = dataclasses.replace(SMALL, environment=Environment(time_limit=30, backend=backend))
    made = task(config, strategy="mirrored")
    before = [variable.numpy() for variable in made.agent.trainable_variables]
    made.advance(60)
    for variable, old in zip(made.agent.trainable_variables, before, strict=True):
        first, second = variable.values
        np.testing.assert_array_equal(first, second)
        assert np.abs(first.numpy() - old).max() > 1e-4
    # Each replica has its own episodes.
    one, two = (collector._state[0].numpy() for collector in made.collectors)
    assert np.abs(one - two).max() > 1e-3
    assert made.metrics()["episodes"] > 10
    saved = write(made, "saved")
    again = task(config, strategy="mirrored")
    read(again, saved)
    again.start(60 * again.steps_per_iteration)
    made.advance(20)
    again.advance(20)
    expected, found = values(made), values(again)
    assert set(expected) == set(found)
    # Both replicas' episodes and replays among them.
    assert {name.split("/")[2] for name in found if name.startswith("collectors/")} == {"0", "1"}
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert made.metrics() == again.metrics()


def test_nothing_is_learned_before_the_warm_up():
    made = task()
    before = [variable.numpy() for variable in made.agent.trainable_variables]
    # Two steps of four environments each time; the window holds two of them back.
    made.advance(8)
    assert int(made.learning.replays[0].size()) == 56
    for variable, old in zip(made.agent.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)
    made.advance(1)
    assert np.abs(made.agent.trainable_variables[0].numpy() - before[0]).max() > 0


def test_the_first_update_takes_no_time_to_compile():
    """XLA compiles updates with the first chunk, which is not counted as training."""
    made = task()

    def seconds(iterations):
        started = time.perf_counter()
        made.advance(iterations)
        return time.perf_counter() - started

    first = seconds(1)
    seconds(7)
    assert made.metrics()["loss"] == 0
    assert seconds(1) < 0.05 * first
    assert made.metrics()["loss"] > 0

    before = values(made)
    made.learning.compile()
    for name, value in values(made).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


@pytest.mark.parametrize(
    ("n_step", "collect_steps", "min_size", "steps", "schedule_steps"),
    [(3, 2, 64, 160, 0), (1, 1, 33, 160, 0), (1, 1, 33, 999, 160)],
    ids=["multi", "single", "longer run"],
)
def test_the_learning_rate_falls_to_0_with_the_schedules_last_update(
    n_step, collect_steps, min_size, steps, schedule_steps
):
    config = dataclasses.replace(
        SMALL,
        agent=DQN(n_step=n_step, replay=UniformReplay(capacity=300, min_size=min_size)),
        optimizer=Adam(
            learning_rate=1e-3, schedule=LinearSchedule(), schedule_steps=schedule_steps
        ),
        train=dataclasses.replace(SMALL.train, steps=steps, collect_steps=collect_steps),
    )
    made = task(config, jit="off")
    made.advance(160 // made.steps_per_iteration - 1)
    # The last four updates are still to come.
    updates = int(made.learner.optimizer.iterations) + 4
    assert made.metrics()["learning_rate"] == pytest.approx(1e-3 * 4 / updates, rel=1e-4)
    made.advance(1)
    assert int(made.learner.optimizer.iterations) == updates
    assert made.metrics()["learning_rate"] == 0


@pytest.mark.parametrize("strategy", ["cpu", "mirrored"])
def test_an_update_is_that_of_its_definition(strategy):
    """Weights and priorities after one more update, from what the replays held before it."""
    config = dataclasses.replace(
        SMALL,
        optimizer=SGD(learning_rate=0.1),
        train=dataclasses.replace(SMALL.train, steps=320, gradient_steps=1),
    )
    made = task(config, strategy, jit="off")
    made.advance(20)
    learning = made.learning

    def collect():
        steps = made._strategy.run(made._collect)
        made._strategy.run(learning._store, args=(steps,))

    tf.function(collect)()

    # Half of the 40 iterations are done: beta is half way from 0.4 to 1.
    samples, weights = [], []
    parts = zip(learning.replays, learning._streams, learning._draws, strict=True)
    for replay, stream, draws in parts:
        size = int(replay.size())
        seed = seeds.at(stream, draws)
        drawn = replay.batches(1, 32 // len(learning.replays), seed, tf.constant(0.5))
        powers = replay._tree.values(tf.range(size, dtype=tf.int64)).numpy()
        samples.append(drawn)
        weights.append((size * powers[drawn.slots.numpy()] / powers.sum()) ** -0.7)
    weights = np.concatenate(weights)
    weights = weights / weights.max()
    assert weights.min() < 0.8
    parts = zip(*(drawn.transitions for drawn in samples), strict=True)
    batch = Transition(*(tf.concat(part, axis=0) for part in parts))
    old = [variable.numpy() for variable in made.agent.trainable_variables]
    with tf.GradientTape() as tape:
        losses = made.agent.loss(batch, tf.constant([0, 0]))
        loss = tf.reduce_sum(losses.per_example * weights) / 32
    gradients = tape.gradient(loss, made.agent.trainable_variables)

    learn = functools.partial(made._strategy.run, learning._learn, args=(tf.constant(0.5),))
    tf.function(learn)()
    for variable, start, gradient in zip(
        made.agent.trainable_variables, old, gradients, strict=True
    ):
        np.testing.assert_allclose(variable, start - 0.1 * gradient, rtol=1e-4, atol=1e-6)
    for replay, drawn, priorities in zip(
        learning.replays, samples, np.split(losses.priorities, len(samples)), strict=True
    ):
        found = replay._tree.values(drawn.slots)
        np.testing.assert_allclose(found, (priorities + 1e-6) ** 0.6, rtol=1e-3)


def test_float16_does_not_lose_small_gradients():
    """The loss is scaled: gradients of 1e-9 are 0 in float16."""
    config = dataclasses.replace(SMALL, agent=DQN(loss="squared"), optimizer=SGD(learning_rate=1e6))
    changes = []
    try:
        for precision in ("float32", "mixed_float16"):
            made = task(config, jit="off", precision=precision)
            kernel, _, head, _ = made.agent.trainable_variables
            head.assign(head * 1e-3)
            observation = tf.random.stateless_normal([32, 4], [0, 1])
            action = tf.zeros([32], tf.int32)
            reward = made.agent.q_values(observation)[:, 0] + 1e-4
            batch = Transition(observation, action, reward, tf.zeros([32]), observation)
            before = kernel.numpy()
            batches = tf.nest.map_structure(lambda field: field[None], batch)
            made._strategy.run(made.learner.learn, args=(batches, tf.ones([1, 32])))
            changes.append(kernel.numpy() - before)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    expected, found = changes
    assert np.abs(expected).max() > 1e-4
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["environment.name=CartPoel-v1"], "Did you mean 'CartPole-v1'?"),
        (["environment.name=Pendulum-v1"], "Pendulum-v1"),
        (["agent.kind=dqnn"], "Did you mean 'dqn'?"),
        (["agent.kind=q_linear", "model.kind=linear"], "learns with agent.alpha"),
        (["agent.v_min=5", "agent.v_max=5"], "v_min must be < v_max"),
        (
            ["agent.n_step=50", "agent.replay.capacity=300", "agent.replay.min_size=64"],
            "agent.n_step and train.collect_steps must be",
        ),
        (
            ["agent.replay.capacity=32", "agent.replay.min_size=16"],
            "at least train.global_batch_size",
        ),
        (["agent.replay.min_size=9"], "agent.replay.min_size must be at least"),
        (["agent.replay.min_size=200000"], "min_size must be <= capacity"),
        (["agent.replay.capacity=1001", "agent.replay.min_size=1001"], "at most 1000, the"),
        (["agent.replay.capacity=2000000000"], "smaller agent.replay.capacity"),
        (["model.kind=cnn"], "needs images"),
        (["model.dropout=0.5"], "model.dropout must be 0"),
        (["environment.grayscale=true"], "grayscale"),
        (["train.stop_at_return=much"], "train.stop_at_return must be a number or empty"),
        (["train.stop_at_return=nan"], "train.stop_at_return must be a number or empty"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_input_is_one_line_and_leaves_nothing(overrides, expected, tmp_path, capfd):
    arguments = [f"--config.{override}" for override in overrides]
    workdir = tmp_path / "run"
    config = "configs/cartpole_dqn.py"
    assert run(["train", f"--config={config}", f"--workdir={workdir}", *arguments]) == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if "strategy" not in line]
    assert len(errors) == 1, errors
    assert errors[0].startswith("error: ")
    assert expected in errors[0]
    assert not workdir.exists()


BROKEN = """
import gymnasium


class Raises(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        self.steps += 1
        self.check()
        return self.observation_space.sample(), 1.0, False, self.steps >= 40, {}

    def check(self):
        if self.steps == 30:
            raise RuntimeError("the motor is on fire")


class Vague(Raises):
    def check(self):
        if self.steps == 30:
            self.observation_space.sample = lambda: __import__("numpy").full(2, float("nan"), "f")
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Raises", "the motor is on fire"), ("Vague", "must return a finite observation")],
)
def test_an_environment_that_fails_is_one_line(
    name, expected, tmp_path, monkeypatch, capfd, request
):
    (tmp_path / "own_failing_envs.py").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    config = request.config.rootpath / "configs" / "cartpole_dqn.py"
    arguments = ["train", f"--config={config}", f"--workdir={tmp_path / 'run'}"]
    status = run([*arguments, f"--config.environment.name=own_failing_envs:{name}"])
    errors = [line for line in capfd.readouterr().err.splitlines() if "strategy" not in line]
    assert status == 2, errors
    assert errors[-1].startswith("error: ")
    assert expected in errors[-1]


def test_batch_normalization_of_an_agent_is_equal_on_all_replicas():
    config = dataclasses.replace(
        SMALL,
        environment=Environment(name="Catch-v0"),
        model=CNN(filters=(4,), units=(8,), batch_norm=True),
        agent=DQN(replay=UniformReplay(capacity=300, min_size=64)),
    )
    made = task(config, "mirrored", jit="off")
    made.advance(12)
    assert made.learner.optimizer.iterations.numpy() > 0
    statistics = [
        variable
        for variable in made.agent.non_trainable_variables
        if variable.synchronization == tf.VariableSynchronization.ON_READ
    ]
    # Mean and variance of the network and of the target network.
    assert len(statistics) >= 2
    for variable in statistics:
        first, second = (copy.numpy() for copy in variable.values)
        np.testing.assert_array_equal(first, second, err_msg=variable.name)
