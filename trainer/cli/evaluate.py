"""`trainer evaluate`."""

import json
import sys
from collections.abc import Mapping, Sequence

from absl import flags as absl_flags

from trainer.cli import distribution_flags, flags
from trainer.config import overrides
from trainer.config.rl import ReinforcementLearning
from trainer.config.supervised import Supervised
from trainer.errors import UserError

USAGE = (
    "trainer evaluate --workdir=DIR [--split=test] [--data.FIELD=value …] [--episodes=N] "
    "[--render] [flags]"
)
TAKES_CONFIG = False
FLAGS = (
    flags.workdir,
    flags.split,
    flags.data_dir,
    distribution_flags.define,
    flags.episodes,
    flags.render,
)
# Other data have these files only if they are named too.
_FILES_OF_SPLITS = ("validation_path", "test_path")


def run(arguments: Sequence[str], started: float) -> None:
    """Prints the metrics as one JSON object, and as a table if stderr is a terminal."""
    del started
    data, others = flags.split_section(arguments, "data")
    values, positional = flags.parse(FLAGS, others)
    if positional:
        raise UserError(f"evaluate takes flags only. Received: {' '.join(positional)}")
    distribution_config = distribution_flags.from_flags(values)
    distribution_flags.prepare_process(distribution_config)
    from trainer.engine.workdir import load_experiment

    experiment = load_experiment(values.workdir)
    if isinstance(experiment, Supervised):
        for name in ("render", "episodes"):
            if values[name].value:
                raise UserError(f"--{name} is for agents; {values.workdir!r} is a supervised run")
        _evaluate(_with_data(experiment, data), values, is_other_data=bool(data))
        return
    if data:
        raise UserError(f"--data is for supervised runs; {values.workdir!r} is an agent")
    _evaluate_agent(experiment, values)


def _evaluate(experiment: Supervised, values: absl_flags.FlagValues, is_other_data: bool) -> None:
    from trainer.supervised.evaluate import ALL
    from trainer.supervised.evaluation_text import text
    from trainer.supervised.experiments import evaluate, summarize

    split = ALL if is_other_data and not values["split"].present else values.split
    evaluated = evaluate(
        experiment,
        values.workdir,
        split,
        distribution_flags.from_flags(values),
        values.data_dir,
        is_other_data,
    )
    print(json.dumps(summarize(evaluated, split)), flush=True)
    if sys.stderr.isatty() and len(evaluated) == 1:
        print(text(evaluated[0]), file=sys.stderr)


def _with_data(experiment: Supervised, data: Mapping[str, str]) -> Supervised:
    """The experiment with other data; the files of its splits go with `data.path`."""
    if "data.path" not in data:
        return overrides.apply(experiment, data)
    of_splits = [f"data.{name}" for name in _FILES_OF_SPLITS if hasattr(experiment.data, name)]
    return overrides.apply(experiment, {**dict.fromkeys(of_splits, ""), **data})


def _evaluate_agent(experiment: ReinforcementLearning, values: absl_flags.FlagValues) -> None:
    from trainer.rl.experiments import evaluate

    distribution_config = distribution_flags.from_flags(values)
    # Printed first: the metrics do not depend on whether the environment can be rendered.
    result = evaluate(
        experiment, values.workdir, values.split, distribution_config, values.episodes
    )
    print(json.dumps(result), flush=True)
    if values.render:
        from trainer.rl.render import render

        for line in render(experiment, values.workdir, distribution_config):
            print(line, file=sys.stderr)
