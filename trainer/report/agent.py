"""The report of an agent, of one seed or several."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from trainer.config.rl import ReinforcementLearning
from trainer.engine import seed_folders
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.multi_seed import mean_and_interval
from trainer.engine.workdir import WorkDirectory, finished_result
from trainer.errors import UserError
from trainer.io.files import read_bytes
from trainer.io.records import Record, curve, read_records
from trainer.pages import charts
from trainer.pages.charts import Chart, Series
from trainer.pages.page import Group, Part, Section, film, page, table, text
from trainer.report import sections
from trainer.rl.evaluate import Episodes, record_split
from trainer.rl.experiments import create_runtime
from trainer.rl.film import play
from trainer.rl.loading import Trained, load
from trainer.rl.render import GIF, MP4, write_film

_STEPS = "environment steps"
# Of the mean over seeds, whose own colors are the first ones.
_GRAY = 6
# Metrics of the final evaluation, with the titles of their columns.
_RESULTS = (
    ("return_mean", "mean return"),
    ("return_iqm", "IQM"),
    ("return_ci95", "95 % interval of the IQM"),
    ("return_std", "standard deviation"),
    ("return_min", "worst"),
    ("success_rate", "success rate"),
    ("length_mean", "mean length"),
    ("last_return_mean", "mean of the last checkpoint"),
    ("episodes", "episodes"),
)
# As far as floats of another order of sums differ.
_TOLERANCE = 1e-3


class Final(NamedTuple):
    """The final evaluation of a run, played again.

    Attributes:
      name: of the run.
      trained: the agent of its selected checkpoint.
      episodes: arrays float32 `[N]`.
      reported: mean return in result.json.
    """

    name: str
    trained: Trained
    episodes: Episodes
    reported: float


def report(
    experiment: ReinforcementLearning, path: str, distribution_config: DistributionConfig
) -> str:
    """The HTML of the report; plays the final episodes of each run again.

    Args:
      experiment: the configuration of the work directory.
      path: the work directory.
      distribution_config: where to compute.
    """
    runs = seed_folders.runs(experiment, path)
    result = finished_result(path, experiment)
    results = {f"seed {run.seed}": finished_result(each, run) for run, each in runs}
    of_runs = {name: each for name, each in results.items() if each}
    records = {f"seed {run.seed}": read_records(WorkDirectory(each).metrics) for run, each in runs}
    split = record_split(experiment)
    found: list[Section] = []
    if of_runs:
        parts = _results(of_runs, result if experiment.seeds > 1 else None, split)
        found.append(Section("Result", parts))
    if evaluations := {name: each for name, rows in records.items() if (each := _returns(rows))}:
        found.append(Section("Learning curve", [learning_curve(evaluations)]))
    if of_runs:
        found += _played(experiment, path, of_runs, distribution_config)
    if any(records.values()):
        found.append(Section("Training", sections.metric_curves(records, _STEPS)))
    if result:
        found.append(Section("Time", sections.seconds(result)))
    found += sections.setup(experiment, path, result)
    return page(sections.title(path), _lead(experiment, result), found)


def learning_curve(evaluations: Mapping[str, Mapping[int, float]]) -> Chart:
    """The mean return of each evaluation; of several runs also the mean with its interval.

    The interval is Student's over the runs, 95 %, at the steps at which all were evaluated.

    Args:
      evaluations: mean return by step, of each run under its name.
    """
    mode = "lines+markers"
    series = [
        Series(name, list(each), list(each.values()), mode=mode, color=number)
        for number, (name, each) in enumerate(evaluations.items())
    ]
    if len(evaluations) > 1:
        shared = sorted(set.intersection(*map(set, evaluations.values())))
        summaries = [
            mean_and_interval([{"return": each[step]} for each in evaluations.values()])
            for step in shared
        ]
        means = np.array([each["return"] for each in summaries])
        low, high = np.array([each["return_ci95"] for each in summaries]).reshape(-1, 2).T
        series.append(Series("mean, 95 % interval", shared, means, low, high, mode, _GRAY))
    title = "Mean return of greedy episodes in evaluations"
    return charts.plot(title, _STEPS, "mean return", series)


def _returns(records: Sequence[Record]) -> dict[int, float]:
    """Mean return by step."""
    return dict(curve(records, "eval/return_mean"))


def _lead(experiment: ReinforcementLearning, result: Mapping[str, Any] | None) -> list[Part]:
    seeds = f"{experiment.seeds} seeds" if experiment.seeds > 1 else f"seed {experiment.seed}"
    what = f"{experiment.agent.kind} on {experiment.environment.name}, {seeds}"
    if result is None:
        return [text(what, "note"), sections.not_finished()]
    return [text(f"{what}; finished after {result['step']} environment steps", "note")]


def _results(
    of_runs: Mapping[str, Mapping[str, Any]], across: Mapping[str, Any] | None, split: str
) -> list[Part]:
    """A row per run, and one across them, beside the published reference."""
    results = dict(of_runs)
    if across:
        results["all seeds"] = across
    used = [
        (f"{split}/{name}", title)
        for name, title in _RESULTS
        if any(f"{split}/{name}" in result["metrics"] for result in results.values())
    ]
    rows = [
        [run, *(result["metrics"].get(name) for name, _ in used)] for run, result in results.items()
    ]
    kinds = ["strong" if run == "all seeds" else "" for run in results]
    caption = f"Greedy episodes of the {'test' if split == 'test' else 'validation'} split"
    parts: list[Part] = [table(["run", *(title for _, title in used)], rows, caption, kinds)]
    if reference := next(iter(of_runs.values())).get("reference"):
        parts.append(text(f"Published: {reference}"))
    parts.append(
        text(
            "IQM: interquartile mean (Agarwal et al., 2021), with its bootstrap interval: over the "
            "episodes of a run, or over the seeds.",
            "note",
        )
    )
    return parts


def _played(
    experiment: ReinforcementLearning,
    path: str,
    of_runs: Mapping[str, Mapping[str, Any]],
    distribution_config: DistributionConfig,
) -> list[Section]:
    """What needs the agents: returns of episodes, calibration of the value, the film."""
    runtime = create_runtime(distribution_config)
    split = experiment.evaluate.split
    finals = []
    try:
        for run, directory in seed_folders.runs(experiment, path):
            name = f"seed {run.seed}"
            if name not in of_runs:
                continue
            trained = load(run, directory, runtime)
            reported = of_runs[name]["metrics"][f"{record_split(run)}/return_mean"]
            finals.append(Final(name, trained, trained.evaluator.episodes(split), reported))
    except UserError as error:
        return [Section("Episodes", [text(f"Left out: {error}", "warning")])]
    returns = [(each.name, each.episodes.returns) for each in finals]
    parts: list[Part] = [
        text(
            f"{each.name} has the mean return {mean:.5g} now and had {each.reported:.5g}.",
            "warning",
        )
        for each in finals
        if abs((mean := float(np.mean(each.episodes.returns, dtype=np.float64))) - each.reported)
        > _TOLERANCE * max(1.0, abs(each.reported))
    ]
    charts_of_episodes = [charts.histogram("Returns of the final episodes", "return", returns)]
    if any(np.any(each.episodes.first_value) for each in finals):
        charts_of_episodes.append(_calibration(finals))
    parts.append(Group(charts_of_episodes))
    return [Section("Episodes", parts), Section("Film", _film(finals[0]))]


def _calibration(finals: Sequence[Final]) -> Chart:
    """The value of the first state against the discounted return, a point per episode."""
    series = [
        Series(
            each.name, each.episodes.first_value, each.episodes.discounted_returns, mode="markers"
        )
        for each in finals
    ]
    title = "Calibration of the value function"
    x_title = "value of the first state"
    return charts.plot(title, x_title, "discounted return", series, diagonal=True)


def _film(final: Final) -> list[Part]:
    """A film of an episode of its own."""
    if np.all(final.episodes.unfinished):
        return [text("There is none, since greedy episodes of this agent do not end.")]
    try:
        played = play(final.trained)
    except UserError as error:
        return [text(f"There is none: {error}")]
    with tempfile.TemporaryDirectory() as folder:
        # Besides the names of files, why one could not be written.
        *notes, name = sorted(write_film(played, folder), key=(GIF, MP4).count)
        content = read_bytes(os.path.join(folder, name))
    media_type = "video/mp4" if name == MP4 else "image/gif"
    caption = f"{final.name}: {played.describe()}"
    shown = film(content, media_type, "A greedy episode of the agent", caption)
    return [shown, *(text(note, "warning") for note in notes if note != GIF)]
