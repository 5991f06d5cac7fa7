"""What the miniature Atari games have in common."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.rl.envs import minatar, registry

NAMES = sorted(name for name in registry.IN_GRAPH if name.startswith("MinAtar/"))
BATCH = 500


@pytest.mark.parametrize("name", NAMES)
def test_one_action_in_ten_is_the_previous_one(name):
    game = registry.IN_GRAPH[name]()
    state = game.reset(tf.constant([1, 2]), BATCH)
    rng = np.random.default_rng(0)
    repeated = 0
    for index in range(20):
        previous = state.action.numpy()
        action = (previous + rng.integers(1, 3, BATCH)) % 3
        state, _, _ = game.step(state, tf.constant(action, tf.int32), tf.constant([3, index]))
        actual = state.action.numpy()
        assert ((actual == action) | (actual == previous)).all()
        repeated += (actual == previous).sum()
    # Five standard deviations of a binomial count.
    assert abs(repeated - 1000) < 5 * np.sqrt(10_000 * 0.1 * 0.9)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_shows_every_object_in_its_colour(name):
    game = registry.IN_GRAPH[name]()
    state = game.reset(tf.constant([1, 2]), 2)
    state, _, _ = game.step(state, tf.constant([0, 1]), tf.constant([3, 4]))
    objects, picture = game.observe(state).numpy(), game.render(state)
    assert set(np.unique(objects)) == {0, 255}
    assert picture.shape == (2, 120, 120, 3)
    for place in np.ndindex(2, minatar.SIZE, minatar.SIZE):
        present = np.flatnonzero(objects[place])
        colour = game.colours[present[0]] if len(present) else (255, 255, 255)
        episode, row, column = place
        block = picture[episode, 12 * row : 12 * row + 12, 12 * column : 12 * column + 12]
        assert (block == colour).all()
