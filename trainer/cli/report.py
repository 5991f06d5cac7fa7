"""`trainer report`."""

from collections.abc import Sequence

from absl import flags as absl_flags

from trainer.cli import distribution_flags, flags
from trainer.errors import UserError

USAGE = "trainer report --workdir=DIR [DIR…] [--output=FILE] [flags]"
TAKES_CONFIG = False


def _output(values: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_string(
        "output",
        "",
        "The HTML file, local or gs://…; empty: report.html, or comparison.html of several "
        "directories, in the first one.",
        flag_values=values,
    )


FLAGS = (flags.workdir, _output, flags.data_dir, distribution_flags.define)


def run(arguments: Sequence[str], started: float) -> None:
    """Writes the page of a run or a search, or compares runs, and prints where it is."""
    del started
    values, others = flags.parse(FLAGS, arguments)
    directories = [*filter(None, [values.workdir]), *others]
    if not directories:
        raise UserError("--workdir=DIR is required: the directory of a run or of a search")
    distribution_config = distribution_flags.from_flags(values)
    if distribution_config.joins_a_cluster:
        raise UserError(
            "report runs in one process, not as a worker of a cluster; pass --strategy=cpu or "
            f"--strategy=gpu. Received: --strategy={distribution_config.strategy}"
        )
    distribution_flags.prepare_process(distribution_config)
    from trainer.report import write

    print(write.write(directories, values.output, distribution_config, values.data_dir))
