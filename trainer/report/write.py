"""Chooses the report of work directories, and writes it."""

import os
from collections.abc import Sequence

from trainer.config.supervised import Supervised
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.workdir import load_experiment
from trainer.io.files import write_text
from trainer.report import supervised


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
      UserError: if one is not the directory of a run.
    """
    (path,) = directories
    experiment = load_experiment(path)
    assert isinstance(experiment, Supervised)
    page = supervised.report(experiment, path, distribution_config, data_dir)
    target = output or os.path.join(path, "report.html")
    write_text(target, page)
    return target
