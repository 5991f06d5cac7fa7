"""Our side: a setting of this folder, run by the task that `trainer train` drives."""

import sys

from agent_settings import SETTINGS
from contender import serve, timed

from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.rl.task import ReinforcementLearningTask

# A comparison never reaches the end of its schedule.
_STEPS = 10**8


def main() -> None:
    """Runs the setting named by the first argument."""
    config = SETTINGS[sys.argv[1]].config(_STEPS)
    runtime = distribution.create(DistributionConfig(strategy="cpu", precision="float32"))
    task = ReinforcementLearningTask(config, runtime)
    task.start(0)
    serve(timed(lambda steps: task.advance(-(-steps // task.steps_per_iteration))))


if __name__ == "__main__":
    main()
