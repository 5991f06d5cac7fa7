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
        "search", "", "What to search, a file with get_search().", flag_values=values
    )
    for name, default, least, text in (
        (
            "max_trials",
            0,
            0,
            "Trials at most; 0: for Grid and Hyperband as many as there are, else 20. A larger one "
            "goes on with a search that is over.",
        ),
        (
            "parallel_trials",
            0,
            0,
            "Trials side by side on this host, with its cores or accelerators divided among "
            "them; 0: one an accelerator, on a CPU one.",
        ),
        (
            "worker_timeout",
            60,
            1,
            "Several hosts: seconds of a worker's silence after which another goes on with its "
            "trial.",
        ),
    ):
        absl_flags.DEFINE_integer(name, default, text, lower_bound=least, flag_values=values)


FLAGS = (flags.workdir, _search, flags.data_dir, distribution_flags.define)


def run(arguments: Sequence[str], started: float) -> None:
    """Searches, or goes on with a search, and says how to train the best."""
    del started
    file, config_overrides, rest = flags.split_config(arguments)
    values, positional = flags.parse(FLAGS, rest)
    if positional:
        raise UserError(f"tune takes flags only. Received: {' '.join(positional)}")
    experiment = flags.experiment(file, config_overrides)
    from trainer.tune import validation
    from trainer.tune.role import role_of

    search = validation.load(values.search)
    validation.check(search, experiment)
    if not values.workdir:
        raise UserError("--workdir=DIR says where the search is kept. Received: ''")
    role = role_of(os.environ)
    with StopRequest() as stop:
        # KerasTuner loads TensorFlow; all that can be refused without it has been.
        from trainer.tune import search as searching

        study = searching.run(
            searching.Request(
                search=search,
                experiment=experiment,
                workdir=values.workdir,
                max_trials=values.max_trials,
                parallel_trials=values.parallel_trials,
                worker_timeout=values.worker_timeout,
                flags=_passed_on(values),
            ),
            role,
            stop,
        )
    if study is not None:
        print(searching.closing_words(study))


def _passed_on(values: absl_flags.FlagValues) -> tuple[str, ...]:
    """The flags of `trainer train` that were given, for every trial."""
    names = flags.new_values((flags.data_dir, distribution_flags.define))
    return tuple(
        f"--{name}={values[name].value}"
        for name in names
        if values[name].value != values[name].default
    )
