"""Films of agents that have not learned yet."""

from pathlib import Path

import numpy as np
import pytest

from trainer.config.models import CNN, MLP
from trainer.config.rl import Environment, EvaluateRL, ReinforcementLearning
from trainer.engine.checkpoints import CheckpointInfo
from trainer.errors import UserError
from trainer.rl import film
from trainer.rl.agents import base
from trainer.rl.envs import registry
from trainer.rl.evaluate import Evaluator
from trainer.rl.loading import Trained


def agent_in(section, **fields):
    """An agent for an environment, as `loading.load` returns it."""
    spec = registry.make(section).spec
    is_pixels = len(spec.observation_shape) == 3
    experiment = ReinforcementLearning(
        environment=section,
        model=CNN(filters=(2,), units=(4,)) if is_pixels else MLP(units=(4,)),
        **fields,
    )
    agent = base.build(experiment, spec)
    evaluator = Evaluator(experiment, agent, compiles=False)
    return Trained(experiment, 0, agent, evaluator, CheckpointInfo(0, "", None, {}))


def play(**section):
    return film.play(agent_in(Environment(**section)))


@pytest.mark.parametrize(
    ("section", "shape"),
    [
        ({"name": "CartPole-v1"}, (320, 480, 3)),
        ({"name": "Catch-v0", "frame_stack": 2}, (576, 576, 3)),
        ({"name": "CartPole-v1", "backend": "gymnasium", "workers": 2}, (400, 600, 3)),
    ],
    ids=["drawn", "pixels", "gymnasium"],
)
def test_a_film_shows_each_step_at_a_size_to_see(section, shape):
    played = play(**section, time_limit=12)
    assert 8 <= played.steps == len(played.frames) <= 12
    assert {frame.shape for frame in played.frames} == {shape}
    assert played.frames[0].dtype == np.uint8
    assert (played.frames[0] != played.frames[-1]).any()
    assert (played.speed, played.has_ended) == (1, True)
    if "CartPole" in section["name"]:
        assert played.episode_return == played.steps
        assert played.describe() == f"return {played.steps}, {played.steps} steps"


def test_pixels_are_repeated_and_nothing_else():
    section = Environment(name="MinAtar/Breakout-v1", time_limit=2)
    first = film.play(agent_in(section)).frames[0]
    assert first.shape == (480, 480, 3)
    cells = first.reshape(10, 48, 10, 48, 3)
    assert (cells == cells[:, :1, :, :1]).all()


def test_a_gymnasium_film_has_the_settings_of_the_environment():
    section = {"name": "MountainCar-v0", "backend": "gymnasium", "time_limit": 6}
    played = play(**section, frame_skip=5, arguments=("goal_velocity=1", "render_mode=human"))
    assert (played.steps, played.episode_return) == (6, -30)


def test_a_film_is_of_the_environment_of_the_final_evaluation():
    section = Environment(name="CartPole-v1", validation_name="CartPole-v0", time_limit=3)
    for split, name in (("test", "CartPole-v1"), ("validation", "CartPole-v0")):
        trained = agent_in(section, evaluate=EvaluateRL(split=split))
        environment = film._drawn(trained.experiment.environment, split)
        assert environment.name == name


def test_a_long_episode_is_shown_faster(monkeypatch):
    monkeypatch.setattr(film, "_MAX_FRAMES", 8)
    agent = agent_in(Environment(name="MountainCar-v0", time_limit=21))
    whole = film.play(agent)
    assert (whole.steps, whole.speed, len(whole.frames), whole.has_ended) == (21, 4, 6, True)
    assert whole.describe() == "return -21, 21 steps, shown 4 times as fast"
    monkeypatch.setattr(film, "_MAX_FRAMES", 100)
    each = film.play(agent)
    np.testing.assert_array_equal(np.array(whole.frames[:]), np.array(each.frames[::4]))


def test_an_episode_without_end_is_cut(monkeypatch):
    monkeypatch.setattr(film, "_LONGEST_EPISODE", 5)
    section = Environment(name="MountainCar-v0", backend="gymnasium")
    trained = agent_in(section)
    played = film.play(trained)
    assert (played.steps, played.has_ended) == (5, False)
    assert played.describe() == "return -5, 5 steps, cut"


def test_an_environment_that_cannot_render_is_an_error_of_one_line(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent / "envs")
    with pytest.raises(UserError, match=r"created with render_mode='rgb_array'. Received: .*Walk"):
        play(name="own_environments:Walk")


def test_frames_are_compressed_without_loss():
    pictures = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), np.uint8)
    frames = film.Frames(pictures)
    np.testing.assert_array_equal(np.array(frames[1:4]), pictures[1:4])
    np.testing.assert_array_equal(frames[-1], pictures[-1])
    frames.drop_every_second()
    np.testing.assert_array_equal(np.array(list(frames)), pictures[::2])
    with pytest.raises(IndexError):
        frames[3]
