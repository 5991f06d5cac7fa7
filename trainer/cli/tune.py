"""`trainer tune`."""

import os
from collections.abc import Sequence

from absl import flags as absl_flags

from trainer.cli import distribution_flags, flags
from trainer.engine.preemption import StopRequest
from trainer.errors import UserError

USAGE = (
    "trainer tune --config=FILE --search=FILE --workdir=DIR [--max_trials=N] "
    "[--config.section.field=value …] [flags]"
)
TAKES_CONFIG = True


def _search(values: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_string(
        "search", "", "Search file, with a function get_search().", flag_values=values
    )
    for name, default, least, text in (
        (
            "max_trials",
            0,
            0,
            "Maximum number of trials; 0: all of Grid or Hyperband, else 20. A larger number "
            "extends a finished search.",
        ),
        (
            "max_seconds",
            0,
            0,
            "Maximum duration of the search, over all its starts; 0: none. Running trials are "
            "saved, and a larger number continues them.",
        ),
        (
            "max_trial_seconds",
            0,
            0,
            "Maximum duration of a trial, which is stopped then; 0: none.",
        ),
        (
            "parallel_trials",
            0,
            0,
            "Parallel trials on this host, among which its GPUs or CPU cores are divided; 0: one "
            "per GPU, or a single one on CPU.",
        ),
        (
            "worker_timeout",
            60,
            1,
            "With several hosts: seconds without a heartbeat after which another worker resumes "
            "a trial.",
        ),
    ):
        absl_flags.DEFINE_integer(name, default, text, lower_bound=least, flag_values=values)
    absl_flags.DEFINE_boolean(
        "baseline",
        True,
        "The configuration as given is the first trial, so that the search returns nothing worse.",
        flag_values=values,
    )


FLAGS = (flags.workdir, _search, flags.data_dir, distribution_flags.define)


def run(arguments: Sequence[str], started: float) -> None:
    """Runs or resumes a search, and prints how to train the best configuration."""
    del started
    file, config_overrides, rest = flags.split_config(arguments)
    values, positional = flags.parse(FLAGS, rest)
    if positional:
        raise UserError(f"tune takes only flags. Received: {' '.join(positional)}")
    experiment = flags.experiment(file, config_overrides)
    from trainer.tune import validation
    from trainer.tune.role import role_from_environment

    search = validation.load(values.search)
    validation.check(search, experiment)
    if not values.workdir:
        raise UserError("--workdir=DIR is required, for example --workdir=runs/search")
    role = role_from_environment(os.environ)
    with StopRequest() as stop:
        # Imported late because KerasTuner loads TensorFlow.
        from trainer.tune import search as searching
        from trainer.tune.study import Limits

        study = searching.run(
            searching.Request(
                search=search,
                experiment=experiment,
                workdir=values.workdir,
                limits=Limits(values.max_trials, values.max_trial_seconds, values.max_seconds),
                baseline=values.baseline,
                parallel_trials=values.parallel_trials,
                worker_timeout=values.worker_timeout,
                flags=flags.given((flags.data_dir, distribution_flags.define), values),
            ),
            role,
            stop,
        )
    if study is not None:
        print(searching.final_summary(study))
