"""Groups of variables: discriminative learning rates and unfreezing."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import SGD, Adam, AdamW, LinearSchedule, Muon
from trainer.optim.groups import ParameterGroup
from trainer.optim.optimizers import Optimizer

BACKBONE = [(6, 5), (5,)]
HEAD = [(5, 3), (3,)]
UNFROZEN = 3
UPDATES = 7


def arrays(seed):
    random = np.random.default_rng(seed)
    return [random.normal(size=shape).astype(np.float32) for shape in (*BACKBONE, *HEAD)]


WEIGHTS = arrays(0)
GRADIENTS = [arrays(seed) for seed in range(1, 1 + UPDATES)]


def one_replica():
    return tf.distribute.OneDeviceStrategy("/cpu:0")


def mirrored():
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


class Run:
    """A backbone that joins later at a fraction of the learning rate, and a head."""

    def __init__(self, config, strategy=None, factor=0.1, first_update=UNFROZEN, scales_loss=False):
        self.strategy = strategy or one_replica()
        with self.strategy.scope():
            self.variables = [tf.Variable(each) for each in WEIGHTS]
            groups = [
                ParameterGroup(self.variables[:2], factor, first_update),
                ParameterGroup(self.variables[2:]),
            ]
            self.optimizer = Optimizer(config, groups, UPDATES, scales_loss=scales_loss)
        self.norms = []
        replicas = self.strategy.num_replicas_in_sync

        def make(phase):
            def update(gradients):
                shares = [gradient / replicas for gradient in gradients]
                return self.optimizer.apply(shares, tf.reduce_sum(gradients[0]), phase)

            return tf.function(lambda gradients: self.strategy.run(update, args=(gradients,)))

        self._update = [make(phase) for phase in range(len(self.optimizer.phases))]

    def update(self, first, last):
        for number in range(first, last):
            phase = max(n for n, start in enumerate(self.optimizer.phases) if start <= number)
            count = len(self.optimizer.variables_of(phase))
            gradients = [tf.constant(each) for each in GRADIENTS[number][-count:]]
            norm, _ = self._update[phase](gradients)
            self.norms.append(float(self.strategy.experimental_local_results(norm)[0]))
        return self

    def values(self):
        return [variable.numpy() for variable in self.variables]


def assert_close(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def head_and_backbone(expected, config, factor=0.1, first_update=UNFROZEN):
    """The reference: both groups by themselves."""
    backbone = [each[:2] for each in GRADIENTS[first_update:]]
    head = [each[2:] for each in GRADIENTS]
    return [
        *expected(config, WEIGHTS[:2], backbone, factor),
        *expected(config, WEIGHTS[2:], head),
    ]


@pytest.mark.parametrize(
    "config", [Adam(learning_rate=0.02), AdamW(learning_rate=0.02, weight_decay=0.3), SGD()]
)
@pytest.mark.parametrize("strategy", [one_replica, mirrored])
def test_a_group_joins_with_its_own_learning_rate(config, strategy, expected):
    run = Run(config, strategy())
    assert run.optimizer.phases == (0, UNFROZEN)
    run.update(0, UNFROZEN)
    assert_equal(run.values()[:2], WEIGHTS[:2])
    # Its moments begin when it joins: Adam's bias correction counts its own updates.
    assert_close(run.update(UNFROZEN, UPDATES).values(), head_and_backbone(expected, config))
    assert run.optimizer.iterations.numpy() == UPDATES


def test_a_group_that_joins_follows_the_schedule_of_the_run():
    run = Run(SGD(learning_rate=1.0, schedule=LinearSchedule()), factor=0.5)
    run.optimizer.learning_rate.scale.assign(0.25)
    run.update(0, UPDATES)
    rates = [0.25 * (1 - step / UPDATES) for step in range(UPDATES)]
    steps = [
        [-rate * each for each in gradients]
        for rate, gradients in zip(rates, GRADIENTS, strict=True)
    ]
    backbone = [0.5 * sum(each[n] for each in steps[UNFROZEN:]) for n in (0, 1)]
    head = [sum(each[n] for each in steps) for n in (2, 3)]
    moved = [after - before for after, before in zip(run.values(), WEIGHTS, strict=True)]
    np.testing.assert_allclose(run.optimizer.current_learning_rate(), 0.0, atol=1e-7)
    assert_close(moved, [*backbone, *head])


def test_the_norm_and_the_clipping_are_those_of_the_groups_in_force():
    run = Run(SGD(learning_rate=1.0, clip_norm=0.5), factor=1.0).update(0, UNFROZEN + 1)
    squares = [[(each**2).sum() for each in gradients] for gradients in GRADIENTS]
    expected = [np.sqrt(sum(each[2:])) for each in squares[:UNFROZEN]]
    expected.append(np.sqrt(sum(squares[UNFROZEN])))
    np.testing.assert_allclose(run.norms, expected, rtol=1e-5)
    step = [0.5 / expected[-1] * each for each in GRADIENTS[UNFROZEN]]
    assert_close(run.values()[:2], [w - s for w, s in zip(WEIGHTS[:2], step[:2], strict=True)])


def test_groups_of_factor_1_from_the_beginning_are_one_group():
    run = Run(Adam(learning_rate=0.02), factor=1.0, first_update=0).update(0, UPDATES)
    assert run.optimizer.phases == (0,)
    variables = [tf.Variable(each) for each in WEIGHTS]
    whole = Optimizer(Adam(learning_rate=0.02), [ParameterGroup(variables)], UPDATES)
    for gradients in GRADIENTS:
        whole.apply([tf.constant(each) for each in gradients], tf.constant(0.0))
    assert_close(run.values(), [variable.numpy() for variable in variables])


def test_the_head_of_muon_is_the_last_kernel_of_all_groups(expected):
    run = Run(Muon(), factor=0.5, first_update=0).update(0, UPDATES)
    whole = expected(Muon(), WEIGHTS, GRADIENTS)
    halved = expected(Muon(), WEIGHTS, GRADIENTS, 0.5)
    assert_close(run.values(), [*halved[:2], *whole[2:]])


@pytest.mark.parametrize("strategy", [one_replica, mirrored])
def test_a_restored_run_continues_bit_for_bit(strategy, tmp_path):
    config = Adam(learning_rate=0.02, schedule=LinearSchedule(warmup="2"))
    run = Run(config, strategy()).update(0, UNFROZEN + 1)
    state = {"optimizer": run.optimizer, "weights": run.variables}
    path = tf.train.Checkpoint(**state).save(str(tmp_path / "checkpoint"))
    again = Run(config, strategy())
    state = {"optimizer": again.optimizer, "weights": again.variables}
    tf.train.Checkpoint(**state).restore(path).assert_consumed()
    both = [each.update(UNFROZEN + 1, UPDATES).values() for each in (run, again)]
    assert_equal(*both)


@pytest.mark.parametrize("strategy", [one_replica, mirrored])
def test_a_scaled_loss_updates_the_groups_in_force(strategy, expected):
    config = SGD(learning_rate=0.02, momentum=0.9)
    run = Run(config, strategy(), scales_loss=True).update(0, UPDATES)
    assert_close(run.values(), head_and_backbone(expected, config))


def test_slots_are_those_of_all_groups():
    run = Run(Adam())
    # Two moments each; the counters are integers.
    assert len([v for v in run.optimizer.slots if v.dtype.is_floating]) == 2 * len(WEIGHTS)


def test_one_group_at_least_begins_at_once():
    with pytest.raises(ValueError, match="no group takes part in update 0"):
        Optimizer(SGD(), [ParameterGroup([tf.Variable(1.0)], first_update=3)], 10)
