"""`trainer predict`."""

import json
from collections.abc import Sequence

from trainer.cli import distribution_flags, flags
from trainer.config.supervised import Supervised
from trainer.errors import UserError

USAGE = "trainer predict --workdir=DIR FILE… [flags]"
TAKES_CONFIG = False
FLAGS = (flags.workdir, distribution_flags.define)


def run(arguments: Sequence[str], started: float) -> None:
    """Prints one JSON object per image and per row of a table."""
    del started
    values, files = flags.parse(FLAGS, arguments)
    if not files:
        raise UserError("predict needs at least one FILE: an image or a CSV file")
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
    from trainer.supervised.predict import predict

    for prediction in predict(experiment, values.workdir, files, distribution_config):
        print(json.dumps(prediction))
