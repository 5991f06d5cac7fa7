import math

import numpy as np

from trainer.compat.keras import tf
from trainer.config import SGD, Adam, ConstantSchedule, CosineSchedule, LinearSchedule
from trainer.config.fields import variants
from trainer.config.optimizers import Schedule
from trainer.optim.schedules import DECAYS, LearningRate


def rates(config, total, steps):
    schedule = LearningRate(config, total)
    return [float(schedule(tf.constant(step, tf.int64))) for step in steps]


def test_every_kind_of_the_configuration_has_a_decay():
    assert set(DECAYS) == set(variants(Schedule))


def test_constant():
    assert rates(SGD(learning_rate=0.5), 10, [0, 5, 20]) == [0.5, 0.5, 0.5]


def test_constant_with_warmup():
    config = SGD(learning_rate=1.0, schedule=ConstantSchedule(warmup_steps=4))
    assert rates(config, 10, [0, 1, 3, 4, 9]) == [0.25, 0.5, 1.0, 1.0, 1.0]


def test_linear_with_warmup():
    config = SGD(learning_rate=1.0, schedule=LinearSchedule(warmup_steps=4))
    expected = [0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.0, 0.0]
    np.testing.assert_allclose(rates(config, 12, [0, 1, 2, 3, 4, 8, 12, 99]), expected)


def test_cosine():
    config = SGD(learning_rate=2.0, schedule=CosineSchedule())
    expected = [1 + math.cos(math.pi * step / 10) for step in range(11)]
    np.testing.assert_allclose(rates(config, 10, range(11)), expected, atol=1e-6)


def test_the_scale_multiplies_the_learning_rate():
    schedule = LearningRate(Adam(learning_rate=0.5), 10)
    schedule.scale.assign(0.25)
    assert float(schedule(0)) == 0.125
