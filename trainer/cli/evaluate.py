"""`trainer evaluate`."""

import json
import sys
from collections.abc import Sequence

from trainer.cli import distribution_flags, flags
from trainer.config.supervised import Supervised
from trainer.errors import UserError

USAGE = "trainer evaluate --workdir=DIR [--split=test] [--render] [flags]"
TAKES_CONFIG = False
FLAGS = (flags.workdir, flags.split, flags.data_dir, distribution_flags.define, flags.render)


def run(arguments: Sequence[str], started: float) -> None:
    """Prints the metrics as one JSON object."""
    del started
    values, positional = flags.parse(FLAGS, arguments)
    if positional:
        raise UserError(f"evaluate takes flags only. Received: {' '.join(positional)}")
    distribution_config = distribution_flags.from_flags(values)
    distribution_flags.prepare_process(distribution_config)
    from trainer.engine.workdir import load_experiment

    experiment = load_experiment(values.workdir)
    if isinstance(experiment, Supervised):
        if values.render:
            raise UserError(f"--render is for agents; {values.workdir!r} is a supervised run")
        from trainer.supervised.experiments import evaluate

        result = evaluate(
            experiment, values.workdir, values.split, distribution_config, values.data_dir
        )
        print(json.dumps(result))
        return
    from trainer.rl.experiments import evaluate as evaluate_agent

    # Printed first: the metrics do not depend on whether the environment can be rendered.
    result = evaluate_agent(experiment, values.workdir, values.split, distribution_config)
    print(json.dumps(result), flush=True)
    if values.render:
        from trainer.rl.render import render

        for line in render(experiment, values.workdir, distribution_config):
            print(line, file=sys.stderr)
