"""TensorBoard's event files: metrics, the configuration as text, hyperparameters."""

import os
from collections.abc import Sequence
from typing import Any

from tensorboard.plugins.hparams import api as hparams

from trainer.compat.keras import tf
from trainer.config.inspection import leaves
from trainer.config.loading import Experiment, to_json
from trainer.io.records import Record

# A scalar takes a millisecond, and all are written again when a run is resumed.
_MOST_SCALARS = 100
# Cells of a table; a confusion matrix of 50 classes has as many.
_MOST_CELLS = 2500


class EventFiles:
    """Event files in a folder.

    A number is the scalar `<split>/<metric>`; a list has a scalar `<split>/<metric>/<element>` for
    each element, by class or index; a matrix is the text `<split>/<metric>`, a table. Lists of more
    than 100 values and matrices of more than 2500 are left out.
    """

    def __init__(self, folder: str, experiment: Experiment, classes: Sequence[str] = ()):
        """Opens a file on the first record.

        Args:
          folder: created if it is missing; may contain other files.
          experiment: written as the text `configuration` and as hyperparameters.
          classes: names for the elements of lists of the same length.
        """
        self._folder = folder
        self._experiment = experiment
        self._classes = classes
        self._writer: tf.summary.SummaryWriter | None = None

    def write(self, record: Record) -> None:
        """Adds one record; it is in the file when the call returns."""
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(self._folder)
            with self._writer.as_default(step=0):
                tf.summary.text("configuration", f"```json\n{to_json(self._experiment)}\n```")
                hparams.hparams(_hyperparameters(self._experiment))
        with self._writer.as_default(step=record.step):
            for name, value in record.metrics.items():
                self._write_metric(f"{record.split}/{name}", value)
        self._writer.flush()

    def remove(self) -> None:
        """Removes the files; traces of the profiler in the same folder remain."""
        if tf.io.gfile.isdir(self._folder):
            for name in tf.io.gfile.listdir(self._folder):
                if name.startswith("events.out.tfevents."):
                    tf.io.gfile.remove(os.path.join(self._folder, name))
        self._writer = None

    def _write_metric(self, tag: str, value: Any) -> None:
        if isinstance(value, int | float):
            tf.summary.scalar(tag, value)
        # None: it was not finite, and was read from metrics.jsonl.
        elif not value:
            return
        elif isinstance(value[0], list | tuple):
            if len(value) ** 2 <= _MOST_CELLS:
                tf.summary.text(tag, _table(self._names(len(value)), value))
        elif len(value) <= _MOST_SCALARS:
            for name, element in zip(self._names(len(value)), value, strict=True):
                self._write_metric(f"{tag}/{name}", element)

    def _names(self, count: int) -> Sequence[str]:
        """Names of the elements of a list."""
        return self._classes if len(self._classes) == count else [str(n) for n in range(count)]


def _table(names: Sequence[str], matrix: Sequence[Sequence[float]]) -> str:
    """A square matrix as a table in Markdown."""
    titles = [" ".join(name.split()).replace("|", "\\|") for name in names]
    lines = [["", *titles], ["---"] * (len(names) + 1)]
    lines += [
        [title, *("–" if value is None else f"{value:g}" for value in row)]
        for title, row in zip(titles, matrix, strict=True)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _hyperparameters(experiment: Experiment) -> dict[str, Any]:
    """The fields of an experiment by their paths."""
    return {
        leaf.path: leaf.value
        if isinstance(leaf.value, bool | int | float | str)
        else str(leaf.value)
        for leaf in leaves(experiment)
    }
