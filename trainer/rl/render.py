"""Pictures of an agent: a GIF of a greedy episode, and the learning curve."""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import NDArray
from PIL import Image

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine import seed_folders
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.workdir import WorkDirectory
from trainer.io.records import Record, read_records
from trainer.rl import experiments, seeds
from trainer.rl.envs import registry
from trainer.rl.loading import Trained

_FRAME_MILLISECONDS = 30
_LAST_FRAME_MILLISECONDS = 1500

Pixels = NDArray[np.uint8]


class Film(NamedTuple):
    """One greedy episode.

    Attributes:
      frames: one per state that the agent acted in, `[H, W, 3]` uint8 each.
      episode_return: undiscounted.
    """

    frames: list[Pixels]
    episode_return: float


def render(
    experiment: ReinforcementLearning, path: str, distribution_config: DistributionConfig
) -> Iterator[str]:
    """Draws the learning curve of an experiment's runs, and a film of its first run's agent.

    Yields:
      One line per picture when it is written.

    Raises:
      UserError: if there is no checkpoint, or the environment cannot be rendered.
    """
    records = {
        f"seed {run.seed}": read_records(WorkDirectory(directory).metrics)
        for run, directory in seed_folders.runs(experiment, path)
    }
    curve = os.path.join(path, "learning_curve.png")
    write_learning_curve(records, experiment.environment.name, curve)
    yield f"the learning curve is in {curve}"
    film = play(experiments.load_each(experiment, path, distribution_config)[0])
    gif = os.path.join(path, "policy.gif")
    write_gif(film.frames, gif)
    yield f"an episode with return {film.episode_return:g} is in {gif}"


def play(trained: Trained) -> Film:
    """Plays and renders a greedy episode.

    Raises:
      UserError: if the environment cannot be rendered.
    """
    experiment, agent = trained.experiment, trained.agent
    environment = registry.make(experiment.environment)
    stream = seeds.stream(experiment.seed, "film")
    carry = environment.initial(seeds.at(stream, 0), 1)
    policy_carry = agent.initial_carry(1)
    frames = [environment.render(carry)[0]]

    @tf.function
    def step(carry, policy_carry, seed):  # type: ignore[no-untyped-def]  # nests of tensors
        observation = environment.observe(carry)
        action, policy_carry, _ = agent.act(observation, policy_carry, seed, explore=False)
        return *environment.step(carry, action, seed), policy_carry

    number = 0
    while True:
        number += 1
        carry, output, policy_carry = step(carry, policy_carry, seeds.at(stream, number))
        if output.terminated[0] or output.truncated[0]:
            # The carry already is that of the next episode.
            return Film(frames, float(output.episode_return[0]))
        frames.append(environment.render(carry)[0])


def write_gif(frames: Sequence[Pixels], path: str) -> None:
    """Writes a looping GIF with 33 frames per second that pauses on its last frame."""
    images = [Image.fromarray(frame) for frame in frames]
    durations = [_FRAME_MILLISECONDS] * (len(images) - 1) + [_LAST_FRAME_MILLISECONDS]
    content = io.BytesIO()
    images[0].save(
        content,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
        optimize=True,
    )
    _write(content, path)


def write_learning_curve(runs: Mapping[str, Sequence[Record]], title: str, path: str) -> None:
    """Draws the returns of each run's evaluations over environment steps, as a PNG.

    Args:
      runs: the records of each run under its name.
      title: title of the figure.
      path: of the PNG file.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    curves = []
    for name, records in runs.items():
        curve = _curve(records)
        axes.plot(list(curve), list(curve.values()), marker=".", linewidth=1, alpha=0.7, label=name)
        curves.append(curve)
    if len(curves) > 1:
        shared = sorted(set.intersection(*(set(curve) for curve in curves)))
        means = [float(np.mean([curve[step] for curve in curves])) for step in shared]
        axes.plot(shared, means, color="black", linewidth=2, label="mean")
        axes.legend(frameon=False)
    axes.set(xlabel="environment steps", ylabel="mean return of greedy episodes", title=title)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    _write(content, path)


def _curve(records: Sequence[Record]) -> dict[int, float]:
    """Mean return by step, without the final evaluation of the selected checkpoint."""
    curve: dict[int, float] = {}
    for record in records:
        if record.split == "eval" and record.step > max(curve, default=0):
            curve[record.step] = float(record.metrics["return_mean"])  # type: ignore[arg-type]
    return curve


def _write(content: io.BytesIO, path: str) -> None:
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content.getvalue())
