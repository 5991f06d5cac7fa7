import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.compat.keras import tf
from trainer.rl.experience.n_step import Transition, Window, empty_window, n_step, slide


def play(rewards, terminated, truncated, discount, n):
    """The n-step transitions of one environment, in order; observations are step numbers."""
    window = empty_window(n, 1, (), tf.float32)
    made = []
    for t, (reward, over, cut) in enumerate(zip(rewards, terminated, truncated, strict=True)):
        step = Transition(
            observation=tf.constant([float(t)]),
            action=tf.constant([t]),
            reward=tf.constant([reward], tf.float32),
            discount=tf.constant([0.0 if over else discount], tf.float32),
            next_observation=tf.constant([t + 0.5]),
        )
        window = slide(window, Window(step, tf.constant([bool(over or cut)])))
        if t >= n - 1:
            made.append([float(field[0]) for field in n_step(window)])
    return made


def reference(rewards, terminated, truncated, discount, n):
    """The definition, step by step."""
    made = []
    for start in range(len(rewards) - n + 1):
        total, factor, last = 0.0, 1.0, start
        for t in range(start, start + n):
            total += factor * rewards[t]
            factor *= 0.0 if terminated[t] else discount
            last = t
            if terminated[t] or truncated[t]:
                break
        made.append([start, start, total, factor, last + 0.5])
    return made


episodes = st.integers(6, 14).flatmap(
    lambda length: st.tuples(
        st.lists(st.floats(-2, 2, width=32), min_size=length, max_size=length),
        st.lists(st.booleans(), min_size=length, max_size=length),
        st.lists(st.booleans(), min_size=length, max_size=length),
    )
)


@given(episodes, st.sampled_from([0.0, 0.9, 1.0]), st.integers(1, 5))
@settings(deadline=None, max_examples=40)
def test_n_step_is_its_definition(steps, discount, n):
    np.testing.assert_allclose(
        play(*steps, discount, n), reference(*steps, discount, n), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("terminated", "truncated", "expected"),
    [
        # reward, discount, what the last step led to
        ([0, 0, 0], [0, 0, 0], (1 + 0.5 * 2 + 0.25 * 4, 0.125, 2.5)),
        ([0, 1, 0], [0, 0, 0], (1 + 0.5 * 2, 0.0, 1.5)),
        ([0, 0, 0], [0, 1, 0], (1 + 0.5 * 2, 0.25, 1.5)),
        ([0, 1, 0], [0, 1, 0], (1 + 0.5 * 2, 0.0, 1.5)),
        ([1, 0, 0], [0, 0, 0], (1, 0.0, 0.5)),
    ],
    ids=["no end", "terminated", "truncated", "terminated at the limit", "at once"],
)
def test_borders_of_episodes(terminated, truncated, expected):
    ((_, _, *made),) = play([1.0, 2.0, 4.0], terminated, truncated, 0.5, 3)
    np.testing.assert_allclose(made, expected)
