"""Chooses the report of work directories, and writes it."""

import os
from collections.abc import Sequence

from trainer.config.supervised import Supervised
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.workdir import load_experiment
from trainer.errors import UserError
from trainer.io.files import writing
from trainer.io.paths import to_path
from trainer.report import comparison, supervised
from trainer.tune import report as search_report
from trainer.tune import stored
from trainer.tune.layout import Layout


def write(
    directories: Sequence[str], output: str, distribution_config: DistributionConfig, data_dir: str
) -> str:
    """Writes the page of one directory, or the comparison of several; returns its path.

    Args:
      directories: of runs, at least one.
      output: the HTML file; empty: in the first directory.
      distribution_config: where to compute predictions.
      data_dir: directory of prepared TensorFlow Datasets.

    Raises:
      UserError: if one is not the directory of a run, or the page cannot be written.
    """
    name = "report.html" if len(directories) == 1 else "comparison.html"
    target = output or os.path.join(directories[0], name)
    if to_path(target).is_dir():
        raise UserError(f"--output must be a file. Received the directory {target}")
    page = (
        _of_one(directories[0], distribution_config, data_dir)
        if len(directories) == 1
        else comparison.report(directories)
    )
    with writing(target) as file:
        file.write(page)
    return target


def _of_one(path: str, distribution_config: DistributionConfig, data_dir: str) -> str:
    layout = Layout.of(path)
    if layout.state.exists():
        return search_report.page(stored.read(layout))
    experiment = load_experiment(path)
    if isinstance(experiment, Supervised):
        return supervised.report(experiment, path, distribution_config, data_dir)
    # TF-Agents is imported only for agents.
    from trainer.report import agent

    return agent.report(experiment, path, distribution_config)
