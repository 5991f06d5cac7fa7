"""`trainer predict`."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from absl import flags as absl_flags

from trainer.cli import distribution_flags, flags
from trainer.config.supervised import Supervised
from trainer.errors import UserError
from trainer.supervised.prediction_lines import FORMATS

if TYPE_CHECKING:
    from trainer.supervised.predictor import Predictor

USAGE = "trainer predict --workdir=DIR PATH… [--format=csv] [--output=FILE] [flags]"
TAKES_CONFIG = False


def _format(values: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_enum(
        "format",
        "jsonl",
        FORMATS,
        "jsonl: a JSON object per line; csv: a table with a header.",
        flag_values=values,
    )


def _output(values: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_string(
        "output",
        "",
        "File for the predictions, local or gs://…, which has its name once it is complete; "
        "empty: standard output.",
        flag_values=values,
    )


FLAGS = (flags.workdir, _format, _output, distribution_flags.define)


def run(arguments: Sequence[str], started: float) -> None:
    """Writes a line per image and per row of a table, and names on stderr what is broken.

    Raises:
      UserError: if the run cannot be loaded; at the end, if there is no prediction for some inputs.
    """
    del started
    values, paths = flags.parse(FLAGS, arguments)
    if not paths:
        raise UserError(
            "predict needs at least one PATH: an image, a CSV or Parquet file, a folder of these, "
            "or a pattern such as 'images/*.png'"
        )
    distribution_config = distribution_flags.from_flags(values)
    if distribution_config.joins_a_cluster:
        raise UserError(
            "predict runs in one process, not as a worker of a cluster; pass --strategy=cpu or "
            f"--strategy=gpu. Received: --strategy={distribution_config.strategy}"
        )
    distribution_flags.prepare_process(distribution_config)
    from trainer.engine.seed_folders import require_one
    from trainer.engine.workdir import load_experiment

    experiment = load_experiment(values.workdir)
    if not isinstance(experiment, Supervised):
        raise UserError(
            f"predict supports supervised runs only; {values.workdir!r} is an agent: use trainer "
            "evaluate"
        )
    require_one(experiment, values.workdir)
    from trainer.engine import distribution
    from trainer.supervised.gradients import can_be_halved
    from trainer.supervised.predictor import Predictor

    runtime = distribution.create(distribution_config, can_be_halved(experiment))
    predictor = Predictor(experiment, values.workdir, runtime)
    with _writing(values.output) as file:
        failed, count = _write(predictor, paths, values.format, file)
    if failed:
        raise UserError(f"{failed} of {count} inputs could not be predicted")


def _write(
    predictor: "Predictor", paths: Sequence[str], form: str, file: TextIO
) -> tuple[int, int]:
    """Writes all predictions; returns how many inputs have none, and how many there are."""
    from trainer.supervised.predict import predict
    from trainer.supervised.prediction_lines import lines

    header, line = lines(form, predictor.signature)
    file.write(header)
    failed = count = 0
    for name, prediction in predict(predictor, paths):
        count += 1
        if isinstance(prediction, UserError):
            failed += 1
            print("error:", " ".join(str(prediction).split("\n")), file=sys.stderr)
        else:
            file.write(line(name, prediction))
    return failed, count


@contextlib.contextmanager
def _writing(output: str) -> Iterator[TextIO]:
    if not output:
        yield sys.stdout
        sys.stdout.flush()
        return
    from trainer.io.files import writing

    with writing(output) as file:
        yield file
