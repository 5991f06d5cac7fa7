"""What XLA compiles, read from graphs: no GPU is needed to see what a GPU could not run."""

import functools

import pytest

from trainer.compat.keras import tf
from trainer.config import (
    CNN,
    DQN,
    MLP,
    PPO,
    Environment,
    Linear,
    PrioritizedReplay,
    QLinear,
    ReinforcementLearning,
    TrainRL,
    UniformReplay,
)
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.errors import UserError
from trainer.rl.envs import registry
from trainer.rl.specs import Discrete
from trainer.rl.task import ReinforcementLearningTask

# The agent here learns from discrete actions.
DISCRETE = [
    name for name, make in registry.IN_GRAPH.items() if isinstance(make().action_spec, Discrete)
]
REPLAY = PrioritizedReplay(capacity=300, min_size=64)


def compiled_dtypes(graph):
    """The dtypes of all variables used by functions that XLA compiles, and by those they call."""
    functions = {each.signature.name: each for each in graph.as_graph_def().library.function}
    names = [n for n, each in functions.items() if each.attr["_XlaMustCompile"].b]
    assert names
    seen, found = set(), set()
    while names:
        name = names.pop()
        seen.add(name)
        for node in functions[name].node_def:
            if node.op == "VarHandleOp" or any(
                part in node.op for part in ("Variable", "ResourceGather", "ResourceScatter")
            ):
                found.add(tf.as_dtype(node.attr["dtype"].type))
            called = (each.func.name for each in node.attr.values())
            names += [each for each in called if each in functions and each not in seen]
    return found


def as_if_on_a_tpu(monkeypatch, config):
    """A task with the choices made for a TPU, on the CPU."""
    runtime = distribution.create(
        DistributionConfig(strategy="cpu", virtual_devices=2, precision="float32", jit="on")
    )
    monkeypatch.setattr(distribution.Runtime, "name", "tpu")
    return ReinforcementLearningTask(config, runtime)


@pytest.mark.skipif(not distribution.xla_compiles_for_cpus(), reason="this build has no XLA")
@pytest.mark.parametrize(
    ("agent", "batch_size"),
    [
        (DQN(n_step=2, noisy=True, replay=UniformReplay(capacity=100, min_size=32)), 8),
        (PPO(epochs=2, target_kl=0.1, normalize_observations=True, normalize_rewards=True), 16),
    ],
    ids=["dqn", "ppo"],
)
def test_a_whole_chunk_is_one_program_that_a_tpu_could_run(agent, batch_size, monkeypatch):
    """Environment, experience and updates: static shapes, no float64, no call of the host."""
    config = ReinforcementLearning(
        model=MLP(units=(8,)),
        agent=agent,
        train=TrainRL(
            steps=1000, num_envs=4, collect_steps=16, gradient_steps=2, global_batch_size=batch_size
        ),
    )
    made = as_if_on_a_tpu(monkeypatch, config)
    program = tf.function(lambda iterations: made._advance(iterations), jit_compile=True)
    text = program.experimental_get_compiler_ir(tf.constant(3))(stage="hlo")
    assert "f64" not in text
    assert "callback" not in text
    assert "<=" not in text, "a dimension is dynamic"
    state = tf.train.Checkpoint(**made.state, **made.local_state, **made.accumulators)
    tracked = tf.train.TrackableView(state).descendants()
    variables = [each for each in tracked if isinstance(each, tf.Variable)]
    assert {each.dtype for each in variables} <= {tf.float32, tf.int64, tf.bool, tf.uint8}
    before = [each.numpy() for each in made.agent.trainable_variables]
    program(tf.constant(3))
    assert made.metrics()["loss"] != 0
    for variable, old in zip(made.agent.trainable_variables, before, strict=True):
        assert (variable.numpy() != old).any()


def test_on_a_tpu_gymnasium_collects_on_the_host(monkeypatch):
    config = ReinforcementLearning(
        environment=Environment(backend="gymnasium"),
        model=MLP(units=(8,)),
        agent=DQN(replay=UniformReplay(capacity=100, min_size=32)),
        train=TrainRL(steps=1000, num_envs=4, gradient_steps=2, global_batch_size=8),
    )
    made = as_if_on_a_tpu(monkeypatch, config)
    on_replicas = []
    run = made._strategy.run

    def record(function, args=(), **options):
        on_replicas.append(function.__name__)
        return run(function, args=args, **options)

    monkeypatch.setattr(made._strategy, "run", record)
    made.advance(20)
    assert "_learn" in on_replicas
    assert "_collect" not in on_replicas
    assert made.metrics()["loss"] > 0


def test_what_a_tpu_cannot_run_is_refused(monkeypatch):
    config = ReinforcementLearning(agent=DQN(replay=PrioritizedReplay()))
    with pytest.raises(UserError, match="use 'uniform'"):
        as_if_on_a_tpu(monkeypatch, config)
    monkeypatch.setattr(distribution.Runtime, "replicas", 8)
    with pytest.raises(UserError, match="one TPU core"):
        as_if_on_a_tpu(monkeypatch, ReinforcementLearning())


@pytest.mark.parametrize("environment", [*DISCRETE, "gymnasium"])
def test_no_compiled_function_uses_an_int32_variable(environment):
    """On a GPU, XLA keeps int32 variables on the host and cannot compile their use."""
    name = "CartPole-v1" if environment == "gymnasium" else environment
    changes = {
        "Acrobot-v1": {"agent": DQN(distribution="categorical", replay=REPLAY)},
        "MountainCar-v0": {"agent": QLinear(), "model": Linear()},
        "Catch-v0": {"model": CNN(filters=(4,), units=(8,))},
    }.get(name, {"agent": DQN(n_step=3, double=True, dueling=True, replay=REPLAY)})
    config = ReinforcementLearning(
        environment=Environment(
            name=name,
            backend="gymnasium" if environment == "gymnasium" else "auto",
            frame_stack=2 if name == "Catch-v0" else 1,
        ),
        train=TrainRL(steps=1000, num_envs=4, gradient_steps=1, global_batch_size=8),
        **{"model": MLP(units=(8,)), **changes},
    )
    runtime = distribution.create(
        DistributionConfig(strategy="cpu", virtual_devices=2, precision="float32", jit="on")
    )
    made = ReinforcementLearningTask(config, runtime)
    advance = made._advance.get_concrete_function(tf.constant(1))
    assert compiled_dtypes(advance.graph) <= {tf.float32, tf.int64}
    environment = registry.make(config.environment)
    if environment.in_graph:
        play = functools.partial(made.evaluator._play, environment, 3)
        play = tf.function(tf.function(play, jit_compile=True))
        graph = play.get_concrete_function(tf.TensorSpec([2], tf.int32)).graph
        assert compiled_dtypes(graph) <= {tf.float32, tf.int64}
