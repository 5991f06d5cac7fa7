import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.rl.agents.exploration import NO_ACTION, explore

SIZE, ACTIONS = 400, 3


def play(epsilon, mean_duration, steps=300):
    """Actions and what was held, `[steps, SIZE]` each; the greedy action is always 2."""
    greedy = tf.fill([SIZE], 2)
    held = tf.fill([SIZE], NO_ACTION)
    actions, history = [], []
    for number in range(steps):
        action, held = explore(
            greedy, held, tf.constant(epsilon), mean_duration, ACTIONS, tf.constant([5, number])
        )
        actions.append(action.numpy())
        history.append(held.numpy())
    return np.array(actions), np.array(history)


@pytest.mark.parametrize("mean_duration", [1.0, 8.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.2, 0.8, 1.0])
def test_epsilon_is_the_share_of_random_actions(epsilon, mean_duration):
    actions, held = play(epsilon, mean_duration)
    later = held[50:]
    assert np.mean(later != NO_ACTION) == pytest.approx(epsilon, abs=0.015)
    for action in range(ACTIONS):
        assert np.mean(later == action) == pytest.approx(epsilon / ACTIONS, abs=0.01)
    np.testing.assert_array_equal(actions, np.where(held == NO_ACTION, 2, held))


def test_a_random_action_is_held_as_long_as_asked_for():
    _, held = play(0.1, 8.0, steps=1000)
    changes = np.sum((held[1:] != held[:-1]) & (held[1:] != NO_ACTION))
    duration = np.sum(held[1:] != NO_ACTION) / changes
    assert duration == pytest.approx(8.0, rel=0.05)


def test_one_step_draws_are_independent():
    _, held = play(0.5, 1.0)
    random = held != NO_ACTION
    assert np.mean(random[1:] & random[:-1]) == pytest.approx(0.25, abs=0.01)


def test_the_same_seed_draws_the_same():
    np.testing.assert_array_equal(play(0.3, 4.0, steps=20), play(0.3, 4.0, steps=20))
