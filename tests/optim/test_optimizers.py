import dataclasses

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.config import LAMB, SGD, Adam, AdamW, LinearSchedule, Lion, Muon, RMSprop
from trainer.config.fields import variants
from trainer.config.optimizers import Optimizer as OptimizerConfig
from trainer.engine import distribution
from trainer.optim.groups import ParameterGroup
from trainer.optim.optimizers import OPTIMIZERS, Optimizer, global_norm

# A convolution, batch normalization, a wide and a tall dense layer.
SHAPES = [(3, 3, 2, 4), (4,), (4,), (6, 9), (9,), (9, 3), (3,)]
UPDATES = 5
CONFIGS = {
    "adam": Adam(learning_rate=0.01),
    "adamw": AdamW(learning_rate=0.01, weight_decay=0.5),
    "sgd": SGD(learning_rate=0.1),
    "momentum and L2": SGD(learning_rate=0.1, momentum=0.9, weight_decay=0.1),
    "nesterov and L2": SGD(learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "rmsprop": RMSprop(learning_rate=0.01),
    "rmsprop with momentum and L2": RMSprop(learning_rate=0.01, momentum=0.8, weight_decay=0.3),
    "lamb": LAMB(learning_rate=0.05, weight_decay=0.2),
    "lion": Lion(learning_rate=0.01, weight_decay=0.5),
    "muon": Muon(),
    "muon with all options": Muon(
        learning_rate=0.24,
        momentum=0.6,
        normalize_weights=True,
        scale_by_shape=True,
        newton_schulz_steps=3,
        weight_decay=0.1,
        head_learning_rate=0.3,
        head_weight_decay=0.2,
        bias_learning_rate=0.05,
        bias_weight_decay=0.4,
        sgd_momentum=0.85,
    ),
    "muon without nesterov": Muon(nesterov=False, weight_decay=0.5),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
# With every option that adds operations or state.
FULL = (
    *("adam", "adamw", "nesterov and L2", "rmsprop with momentum and L2"),
    *("lamb", "lion", "muon with all options"),
)
every_kind = pytest.mark.parametrize("config", [CONFIGS[name] for name in FULL], ids=FULL)


def arrays(seed):
    random = np.random.default_rng(seed)
    return [random.normal(size=shape).astype(np.float32) for shape in SHAPES]


WEIGHTS = arrays(0)
GRADIENTS = [arrays(seed) for seed in range(1, 1 + UPDATES)]


class Run:
    """Variables with an optimizer, updated by given gradients."""

    def __init__(self, config, strategy=None, jit=False, scales_loss=False, steps=100):
        self.strategy = strategy or tf.distribute.get_strategy()
        with self.strategy.scope():
            self.variables = [tf.Variable(each) for each in WEIGHTS]
            self.optimizer = Optimizer(
                config, [ParameterGroup(self.variables)], steps, scales_loss=scales_loss
            )
        apply = self.optimizer.apply
        if jit:
            apply = tf.function(apply, jit_compile=True)

        def update(gradients):
            replicas = self.strategy.num_replicas_in_sync
            apply([each / replicas for each in gradients], tf.reduce_sum(gradients[-1]))

        @tf.function
        def updates(gradients):
            self.strategy.run(update, args=(gradients,))

        self._update = updates

    def update(self, gradients):
        for each in gradients:
            self._update([tf.constant(array) for array in each])
        return self

    def values(self):
        return [variable.numpy() for variable in self.variables]


def mirrored():
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def assert_close(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_every_kind_of_the_configuration_has_an_optimizer():
    assert set(OPTIMIZERS) == set(variants(OptimizerConfig))
    assert {CONFIGS[name].kind for name in FULL} == set(OPTIMIZERS)


@every_config
def test_updates_are_those_of_the_paper(config, expected):
    run = Run(config).update(GRADIENTS)
    assert_close(run.values(), expected(config, WEIGHTS, GRADIENTS))
    assert run.optimizer.iterations.numpy() == UPDATES


@every_kind
def test_two_replicas_make_the_updates_of_one(config):
    run = Run(config, mirrored()).update(GRADIENTS)
    for variable in run.variables:
        first, second = (copy.numpy() for copy in variable.values)
        np.testing.assert_array_equal(first, second)
    # Halving and adding up a gradient is exact.
    assert_equal(run.values(), Run(config).update(GRADIENTS).values())


@pytest.mark.skipif(not distribution.xla_compiles_for_cpus(), reason="no XLA for CPUs")
@every_kind
def test_xla_makes_the_same_updates(config, expected):
    compiled = Run(config, jit=True).update(GRADIENTS)
    assert_close(compiled.values(), expected(config, WEIGHTS, GRADIENTS))


@every_kind
def test_a_restored_optimizer_continues_bit_for_bit(config, tmp_path):
    run = Run(config).update(GRADIENTS[:3])
    state = {"optimizer": run.optimizer, "weights": run.variables}
    path = tf.train.Checkpoint(**state).save(str(tmp_path / "checkpoint"))
    again = Run(config)
    state = {"optimizer": again.optimizer, "weights": again.variables}
    tf.train.Checkpoint(**state).restore(path).assert_consumed()
    assert_equal(run.values(), again.values())
    assert_equal(run.update(GRADIENTS[3:]).values(), again.update(GRADIENTS[3:]).values())


@pytest.mark.parametrize("name", ["sgd", "muon"])
@pytest.mark.parametrize("strategy", [tf.distribute.get_strategy, mirrored])
def test_an_overflow_of_a_scaled_loss_skips_the_update_of_all_variables(name, strategy, expected):
    run = Run(CONFIGS[name], strategy(), scales_loss=True)
    overflow = [*GRADIENTS[0][:-1], np.full(SHAPES[-1], np.inf, np.float32)]
    assert_equal(run.update([overflow]).values(), WEIGHTS)
    assert run.optimizer.iterations.numpy() == 1
    assert_close(run.update(GRADIENTS).values(), expected(CONFIGS[name], WEIGHTS, GRADIENTS))


@pytest.mark.parametrize("name", ["adamw", "lamb", "lion", "sgd", "rmsprop"])
def test_biases_and_normalization_have_no_weight_decay(name):
    section = type(CONFIGS[name])
    with_decay = Run(section(weight_decay=0.5)).update(GRADIENTS).values()
    without = Run(section(weight_decay=0.0)).update(GRADIENTS).values()
    for shape, a, b in zip(SHAPES, with_decay, without, strict=True):
        assert np.array_equal(a, b) == (len(shape) < 2)


@pytest.mark.parametrize("strategy", [tf.distribute.get_strategy, mirrored])
def test_the_first_bias_of_muon_has_a_schedule_of_its_own(strategy):
    """Its learning rate falls to 0 within the duration, and it stays where it is then."""
    schedule = LinearSchedule()
    whole = Muon(schedule=schedule, sgd_momentum=0.0, bias_learning_rate=0.2)
    part = dataclasses.replace(whole, first_bias_duration="50 %")
    first, others = SHAPES.index((4,)), [n for n in range(len(SHAPES)) if n != 1]
    run, reference = Run(part, strategy(), steps=4), Run(whole, strategy(), steps=4)
    for rate, gradients in zip([0.2, 0.1, 0.0, 0.0], GRADIENTS, strict=False):
        before = run.values()[first]
        after = run.update([gradients]).values()
        np.testing.assert_allclose(after[first], before - rate * gradients[first], rtol=1e-5)
        expected = reference.update([gradients]).values()
        assert_equal([after[n] for n in others], [expected[n] for n in others])


def test_adam_is_that_of_keras_bit_for_bit():
    """An agent's updates."""
    variables = [tf.Variable(each) for each in WEIGHTS]
    adam = keras.optimizers.Adam(0.01, jit_compile=False)
    for gradients in GRADIENTS:
        adam.apply_gradients(zip(map(tf.constant, gradients), variables, strict=True))
    run = Run(CONFIGS["adam"]).update(GRADIENTS)
    assert_equal(run.values(), [variable.numpy() for variable in variables])


GRADIENT = [[0.3, 0.4], [[1.2]]]


def updated(config, scales_loss=False):
    """Two variables after an update by gradients of a loss."""
    variables = [tf.Variable([1.0, 2.0]), tf.Variable([[3.0]])]
    optimizer = Optimizer(config, [ParameterGroup(variables)], 100, scales_loss=scales_loss)
    with tf.GradientTape() as tape:
        loss = tf.add_n(
            [tf.reduce_sum(v * tf.constant(g)) for v, g in zip(variables, GRADIENT, strict=True)]
        )
    optimizer.apply(optimizer.gradients(tape, loss), loss)
    return [variable.numpy() for variable in variables]


@pytest.mark.parametrize("clip_norm", [0.65, 100.0])
def test_clipping_is_by_the_global_norm(clip_norm):
    # The norm of (0.3, 0.4, 1.2) is 1.3.
    factor = min(1.0, clip_norm / 1.3)
    first, second = updated(SGD(learning_rate=1.0, clip_norm=clip_norm))
    np.testing.assert_allclose(first, [1 - 0.3 * factor, 2 - 0.4 * factor], rtol=1e-5)
    np.testing.assert_allclose(second, [[3 - 1.2 * factor]], rtol=1e-5)


def test_the_l2_term_is_not_clipped():
    config = SGD(learning_rate=1.0, clip_norm=0.65, weight_decay=0.5)
    _, second = updated(config)
    np.testing.assert_allclose(second, [[3 - 1.2 / 2 - 0.5 * 3]], rtol=1e-5)


def test_the_norm_before_clipping_is_returned():
    variables = [tf.Variable([1.0, 2.0]), tf.Variable([[3.0]])]
    optimizer = Optimizer(SGD(clip_norm=0.1), [ParameterGroup(variables)], schedule_updates=10)
    norm, _ = optimizer.apply([tf.constant(g) for g in GRADIENT], tf.constant(0.0))
    np.testing.assert_allclose(norm, 1.3, rtol=1e-6)


def test_global_norm():
    values = np.random.default_rng(0).normal(size=(7, 5, 3)).astype(np.float32)
    found = global_norm([tf.constant(values), tf.constant(values[0, 0])])
    expected = np.sqrt((values**2).sum() + (values[0, 0] ** 2).sum())
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("config", [SGD(learning_rate=0.1), Muon()])
def test_a_scaled_loss_makes_the_same_update(config):
    for a, b in zip(updated(config), updated(config, scales_loss=True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
