"""What XLA compiles, read from graphs: no GPU is needed to see what a GPU could not run."""

import functools

import pytest

from trainer.compat.keras import tf
from trainer.config import (
    CNN,
    DQN,
    MLP,
    Environment,
    Linear,
    PrioritizedReplay,
    QLinear,
    ReinforcementLearning,
    TrainRL,
)
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
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
