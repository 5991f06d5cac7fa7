import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.compat.keras import tf
from trainer.config import (
    SGD,
    Adam,
    ConstantSchedule,
    CosineSchedule,
    ExponentialSchedule,
    LinearSchedule,
    OneCycleSchedule,
    PolynomialSchedule,
    StepSchedule,
)
from trainer.config.fields import variants
from trainer.config.optimizers import Schedule
from trainer.errors import UserError
from trainer.optim.schedules import SCHEDULES, LearningRate

TOTAL = 40
# For each schedule, the factor of the peak at update number t without warmup.
CASES = [
    (ConstantSchedule(), lambda t: 0 * t + 1),
    (LinearSchedule(), lambda t: 1 - t / TOTAL),
    (LinearSchedule(final_factor=0.2), lambda t: 1 - 0.8 * t / TOTAL),
    (CosineSchedule(), lambda t: (1 + math.cos(math.pi * t / TOTAL)) / 2),
    (CosineSchedule(final_factor=0.1), lambda t: 0.55 + 0.45 * math.cos(math.pi * t / TOTAL)),
    (PolynomialSchedule(power=3, final_factor=0.1), lambda t: 0.1 + 0.9 * (1 - t / TOTAL) ** 3),
    (ExponentialSchedule(final_factor=0.01), lambda t: 0.01 ** (t / TOTAL)),
    (StepSchedule(), lambda t: 0.1 ** ((t >= 20) + (t >= 30))),
    (
        StepSchedule(boundaries=("2 epochs", "30 steps", "90 %"), factor=0.5),
        lambda t: 0.5 ** ((t >= 16) + (t >= 30) + (t >= 36)),
    ),
    (
        OneCycleSchedule(peak="25 %", shape="linear", start_factor=0.2, final_factor=0.07),
        lambda t: np.interp(t, [0, 10, 40], [0.2, 1, 0.07]),
    ),
    (
        OneCycleSchedule(peak="10", final_factor=0.1),
        lambda t: (
            0.04 + 0.96 * (1 - math.cos(math.pi * t / 10)) / 2
            if t < 10
            else 0.1 + 0.9 * (1 + math.cos(math.pi * (t - 10) / 30)) / 2
        ),
    ),
]
every_case = pytest.mark.parametrize(
    ("schedule", "factor"), CASES, ids=[f"{n} {case[0].kind}" for n, case in enumerate(CASES)]
)


def rates(config, total, steps, updates_per_epoch=8.0):
    schedule = LearningRate(config, total, updates_per_epoch)
    return [float(schedule(tf.constant(step, tf.int64))) for step in steps]


def test_every_kind_of_the_configuration_has_a_schedule():
    assert set(SCHEDULES) == set(variants(Schedule)) == {case[0].kind for case in CASES}


@every_case
def test_each_update_has_the_rate_of_the_formula(schedule, factor):
    config = SGD(learning_rate=2.0, schedule=schedule)
    found = rates(config, TOTAL, range(TOTAL))
    np.testing.assert_allclose(found, [2 * factor(t) for t in range(TOTAL)], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("schedule", "first", "last", "after"),
    [
        (ConstantSchedule(), 1.0, 1.0, 1.0),
        (ConstantSchedule(warmup="4"), 0.25, 1.0, 1.0),
        (LinearSchedule(), 1.0, 1 / 40, 0.0),
        (LinearSchedule(warmup="10 %", final_factor=0.1), 0.25, 0.1 + 0.9 / 36, 0.1),
        (CosineSchedule(), 1.0, (1 + math.cos(math.pi * 39 / 40)) / 2, 0.0),
        (PolynomialSchedule(power=2), 1.0, 1 / 1600, 0.0),
        (ExponentialSchedule(final_factor=0.1), 1.0, 0.1 ** (39 / 40), 0.1),
        (StepSchedule(), 1.0, 0.01, 0.01),
        (OneCycleSchedule(shape="linear", start_factor=0.2), 0.2, 1 / 28, 0.0),
    ],
)
def test_the_first_and_the_last_update_and_all_after_the_end(schedule, first, last, after):
    found = rates(SGD(learning_rate=1.0, schedule=schedule), TOTAL, [0, 39, 40, 99])
    np.testing.assert_allclose(found, [first, last, after, after], rtol=1e-5, atol=1e-7)


def test_constant_with_warmup():
    config = SGD(learning_rate=1.0, schedule=ConstantSchedule(warmup="4"))
    assert rates(config, 10, [0, 1, 3, 4, 9]) == [0.25, 0.5, 1.0, 1.0, 1.0]


def test_linear_with_warmup():
    config = SGD(learning_rate=1.0, schedule=LinearSchedule(warmup="0.5 epochs"))
    expected = [0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.0, 0.0]
    np.testing.assert_allclose(rates(config, 12, [0, 1, 2, 3, 4, 8, 12, 99]), expected)


DECAYS = st.one_of(
    st.builds(ConstantSchedule),
    st.builds(LinearSchedule, final_factor=st.floats(0, 1)),
    st.builds(CosineSchedule, final_factor=st.floats(0, 1)),
    st.builds(PolynomialSchedule, power=st.floats(1, 4), final_factor=st.floats(0, 1)),
    st.builds(ExponentialSchedule, final_factor=st.floats(0.01, 1)),
)


@settings(deadline=None, max_examples=60)
@given(st.data(), DECAYS)
def test_the_decay_continues_where_the_warmup_ends(data, schedule):
    warmup = data.draw(st.integers(1, 30))
    total = data.draw(st.integers(2 * warmup, 200))
    schedule = dataclasses.replace(schedule, warmup=str(warmup))
    config = SGD(learning_rate=1.0, schedule=schedule)
    found = np.array(LearningRate(config, total)(tf.range(total + 1)))
    # It rises by equal amounts to the peak, and then never rises again.
    np.testing.assert_allclose(found[:warmup], np.arange(1, warmup + 1) / warmup, rtol=1e-6)
    assert found[warmup] == 1.0
    assert np.all(np.diff(found[warmup:]) <= 1e-6)
    # No update falls by more than the steepest decay, or than the exponential one.
    steepest = 5 / (total - warmup)
    assert np.all(np.abs(np.diff(found[warmup:])) <= steepest)


@settings(deadline=None, max_examples=40)
@given(
    total=st.integers(10, 300),
    percent=st.integers(10, 90),
    shape=st.sampled_from(["cosine", "linear"]),
    start=st.floats(0, 1),
    final=st.floats(0, 1),
)
def test_one_cycle_rises_to_the_peak_and_falls(total, percent, shape, start, final):
    schedule = OneCycleSchedule(
        peak=f"{percent} %", shape=shape, start_factor=start, final_factor=final
    )
    learning_rate = LearningRate(SGD(learning_rate=1.0, schedule=schedule), total)
    found = np.array([float(learning_rate(step)) for step in range(total + 1)])
    peak = round(total * percent / 100)
    np.testing.assert_allclose(found[[0, peak, total]], [start, 1, final], atol=1e-6)
    assert np.all(np.diff(found[: peak + 1]) >= -1e-6)
    assert np.all(np.diff(found[peak:]) <= 1e-6)


def test_epochs_need_a_run_that_has_them():
    config = Adam(schedule=CosineSchedule(warmup="2 epochs"))
    with pytest.raises(UserError, match="an agent has no epochs"):
        LearningRate(config, 100)


def test_the_scale_multiplies_the_learning_rate():
    schedule = LearningRate(Adam(learning_rate=0.5), 10)
    schedule.scale.assign(0.25)
    assert float(schedule(0)) == 0.125
