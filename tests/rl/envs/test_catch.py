"""Catch against a plain simulation of one game at a time."""

import numpy as np

from trainer.compat.keras import tf
from trainer.config import Environment as EnvironmentConfig
from trainer.engine import distribution
from trainer.rl.envs import catch, registry

BATCH = 64


def landing_column(column: int, drift: int, steps: int) -> int:
    for _ in range(steps):
        if not 0 <= column + drift < catch.CELLS:
            drift = -drift
        column += drift
    return column


def draw(state: dict[str, int]) -> np.ndarray:
    image = np.zeros((24, 24), np.uint8)
    for ball in range(state["balls"]):
        image[23, 4 * ball : 4 * ball + 2] = 96
    if state["row"] > 0:
        row, column = 2 * (state["row"] - 1), 2 * (state["column"] - state["drift"])
        image[row : row + 2, column : column + 2] = 96
    image[22, 2 * state["paddle"] - 2 : 2 * state["paddle"] + 4] = 255
    image[2 * state["row"] : 2 * state["row"] + 2, 2 * state["column"] :][:, :2] = 255
    return image[..., None]


def rows(state: catch.CatchState) -> list[dict[str, int]]:
    columns = {key: value.numpy().astype(int) for key, value in state._asdict().items()}
    return [{key: columns[key][i] for key in columns} for i in range(BATCH)]


def test_moves_and_draws_as_a_plain_simulation():
    ours = registry.make(EnvironmentConfig(name="Catch-v0"))
    rng = np.random.default_rng(0)
    step = tf.function(ours.step, jit_compile=distribution.xla_compiles_for_cpus())
    carry = ours.initial(tf.constant([1, 2]), BATCH)
    for index in range(120):
        before = rows(carry.state)
        action = rng.integers(0, 3, BATCH)
        shown = ours.observe(carry).numpy()
        carry, output = step(carry, tf.constant(action, tf.int32), tf.constant([3, index]))
        outcome = zip(
            before, rows(carry.state), output.terminated.numpy(), output.reward.numpy(), strict=True
        )
        for i, (state, after, terminated, reward) in enumerate(outcome):
            np.testing.assert_array_equal(shown[i], draw(state))
            paddle = min(max(state["paddle"] + action[i] - 1, 1), catch.CELLS - 2)
            column = landing_column(state["column"], state["drift"], 1)
            landed = state["row"] == catch.CELLS - 2
            assert reward == (0 if not landed else 1 if abs(column - paddle) <= 1 else -1)
            assert terminated == (landed and state["balls"] == 1)
            if not terminated:
                assert after["paddle"] == paddle
                assert after["balls"] == state["balls"] - landed
                assert after["row"] == (0 if landed else state["row"] + 1)
            if not landed:
                assert after["column"] == column
    assert not output.truncated.numpy().any()


def test_the_greatest_return_can_be_reached_in_every_game():
    ours = registry.make(EnvironmentConfig(name="Catch-v0"))
    carry = ours.initial(tf.constant([7, 8]), BATCH)
    returns = []
    for index in range(5 * 11):
        action = []
        for state in rows(carry.state):
            # The direction shows only after a ball's first step: until then, stay.
            left = catch.CELLS - 1 - state["row"]
            target = landing_column(state["column"], state["drift"], left)
            known = state["row"] > 0
            action.append(1 + known * int(np.sign(target - state["paddle"])))
        carry, output = ours.step(carry, tf.constant(action), tf.constant([9, index]))
        returns.extend(output.episode_return.numpy()[output.terminated.numpy()])
    assert returns == [catch.MAXIMUM_RETURN] * BATCH


def test_balls_fall_everywhere_in_every_direction():
    ours = registry.make(EnvironmentConfig(name="Catch-v0"))
    state = ours.initial(tf.constant([1, 2]), 3600).state
    for values, low, count in (
        (state.column, 0, 12), (state.drift, -1, 3), (state.paddle, 1, 10)
    ):  # fmt: skip
        counts = np.bincount(values.numpy().astype(int) - low, minlength=count)
        assert len(counts) == count
        # Five standard deviations of a binomial count.
        assert np.abs(counts - 3600 / count).max() < 5 * np.sqrt(3600 / count)
    pairs = np.stack([state.column, state.drift, state.paddle])
    np.testing.assert_allclose(np.corrcoef(pairs), np.eye(3), atol=0.08)
