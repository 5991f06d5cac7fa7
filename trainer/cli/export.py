"""`trainer export`."""

from collections.abc import Sequence

from trainer.cli import flags
from trainer.config.supervised import Supervised
from trainer.errors import UserError

USAGE = "trainer export --workdir=DIR --output=DIR"
TAKES_CONFIG = False
FLAGS = (flags.workdir, flags.output)


def run(arguments: Sequence[str], started: float) -> None:
    """Writes the SavedModel and prints how to load it."""
    del started
    values, positional = flags.parse(FLAGS, arguments)
    if positional:
        raise UserError(f"export takes flags only. Received: {' '.join(positional)}")
    if not values.output:
        raise UserError("--output=DIR is required: a new directory for the SavedModel")
    from trainer.engine.workdir import load_experiment

    experiment = load_experiment(values.workdir)
    if isinstance(experiment, Supervised):
        raise UserError(f"export supports agents only; {values.workdir!r} is a supervised run")
    from trainer.rl.export import export

    step = export(experiment, values.workdir, values.output)
    print(
        f"exported the greedy policy of environment step {step} to {values.output}\n"
        "load it with tf_agents.policies.SavedModelPyTFEagerPolicy"
        f"({values.output!r}, load_specs_from_pbtxt=True)"
    )
