"""Our side: a configuration of this folder, through the task that `trainer train` drives."""

import sys

from contender import serve
from settings import SETTINGS

from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.rl.task import QLearningTask

# Long enough for any schedule: a comparison never comes to its end.
_STEPS = 10**8


def main() -> None:
    """Serves the setting that the first argument names."""
    config = SETTINGS[sys.argv[1]].config(_STEPS)
    runtime = distribution.create(DistributionConfig(strategy="cpu", precision="float32"))
    task = QLearningTask(config, runtime)
    task.start(0)
    serve(lambda steps: task.advance(-(-steps // task.stride)))


if __name__ == "__main__":
    main()
