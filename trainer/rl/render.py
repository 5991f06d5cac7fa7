"""What `trainer evaluate --render` writes: the learning curve, and a film of the agent."""

import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine import seed_folders
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.workdir import WorkDirectory
from trainer.errors import UserError
from trainer.io.records import Record, curve, read_records
from trainer.rl import experiments
from trainer.rl.film import Film, play
from trainer.rl.video_files import has_ffmpeg, write_gif, write_mp4

GIF, MP4 = "policy.gif", "policy.mp4"


def render(
    experiment: ReinforcementLearning, path: str, distribution_config: DistributionConfig
) -> Iterator[str]:
    """Draws the learning curve of an experiment's runs, and a film of its first run's agent.

    Yields:
      One line per file when it is written, or could not be.

    Raises:
      UserError: if there is no checkpoint, or the environment cannot be rendered.
    """
    records = {
        f"seed {run.seed}": read_records(WorkDirectory(directory).metrics)
        for run, directory in seed_folders.runs(experiment, path)
    }
    picture = os.path.join(path, "learning_curve.png")
    write_learning_curve(records, experiment.environment.name, picture)
    yield f"the learning curve is in {picture}"
    film = play(experiments.load_each(experiment, path, distribution_config)[0])
    run = f" of seed {experiment.seed}" if experiment.seeds > 1 else ""
    for written in write_film(film, path):
        if written in (GIF, MP4):
            yield f"an episode{run} ({film.describe()}) is in {os.path.join(path, written)}"
        else:
            yield written


def write_film(film: Film, path: str) -> Iterator[str]:
    """Writes policy.gif and, where ffmpeg is, policy.mp4 into a work directory.

    Yields:
      The name of each file when it is written, or why it could not be.
    """
    write_gif(film.frames, os.path.join(path, GIF))
    yield GIF
    mp4 = os.path.join(path, MP4)
    # One of an earlier agent.
    if tf.io.gfile.exists(mp4):
        tf.io.gfile.remove(mp4)
    if has_ffmpeg():
        try:
            write_mp4(film.frames, mp4)
        except UserError as error:
            yield str(error)
        else:
            yield MP4


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
        found = dict(curve(records, "eval/return_mean"))
        axes.plot(list(found), list(found.values()), marker=".", linewidth=1, alpha=0.7, label=name)
        curves.append(found)
    if len(curves) > 1:
        shared = sorted(set.intersection(*map(set, curves)))
        means = [float(np.mean([each[step] for each in curves])) for step in shared]
        axes.plot(shared, means, color="black", linewidth=2, label="mean")
        axes.legend(frameon=False)
    axes.set(xlabel="environment steps", ylabel="mean return of greedy episodes", title=title)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    with tf.io.gfile.GFile(path, "wb") as file:
        figure.savefig(file, format="png", dpi=120)
