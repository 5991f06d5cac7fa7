"""One run of an agent: trained, or resumed, in a work directory."""

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine import runner
from trainer.engine.checkpoints import Found, restore
from trainer.engine.distribution import Runtime
from trainer.engine.loop import Plan
from trainer.engine.metric_writers import Value
from trainer.rl.task import QLearningTask

_REPORTS_A_RUN = 20
_EVALUATIONS_A_RUN = 10


def train(
    experiment: ReinforcementLearning,
    path: str,
    runtime: Runtime,
    session: runner.Session,
    prepare: Callable[[], None] = lambda: None,
) -> Mapping[str, Any] | None:
    """Trains, or resumes, the run of `experiment.seed`; returns what `runner.run` does.

    Args:
      experiment: of one seed.
      path: of its work directory.
      runtime: where it computes.
      session: the process it runs in.
      prepare: called when all settings are known to fit, before anything is written.

    Raises:
      UserError: if settings, environment or distribution do not fit.
      Interrupted: when a stop was requested; the state is saved.
    """
    task = QLearningTask(experiment, runtime)
    session.check()
    prepare()
    capacity, size = experiment.replay.capacity, task.replay_bytes / 2**20
    print(f"replay {capacity:,} transitions in {size:,.1f} MiB", file=sys.stderr)
    train = experiment.train
    if experiment.replay.warmup > train.steps:
        print(
            f"nothing will be learnt: replay.warmup={experiment.replay.warmup} is more than "
            f"train.steps={train.steps}",
            file=sys.stderr,
        )

    def final_evaluation(found: Found) -> tuple[str, Mapping[str, Value]]:
        restore(found, tf.train.Checkpoint(agent=task.agent))
        return "eval", task.evaluator.evaluate_finally()

    def throughput(steps_per_second: float, input_wait_fraction: float) -> Mapping[str, float]:
        return {
            "env_steps_per_second": steps_per_second,
            "updates_per_second": steps_per_second * train.updates / task.stride,
            "input_wait_fraction": input_wait_fraction,
        }

    return runner.run(
        runner.Job(
            experiment=experiment,
            task=task,
            plan=make_plan(experiment, task.stride),
            checkpoints_to_keep=train.checkpoints_to_keep,
            weights=experiment.evaluate.checkpoint,
            signature=None,
            final_evaluation=final_evaluation,
            throughput=throughput,
        ),
        path,
        runtime,
        session,
    )


def make_plan(experiment: ReinforcementLearning, stride: int) -> Plan:
    """When what happens, in environment steps, each rounded up to whole iterations."""
    train = experiment.train

    def whole(steps: float) -> int:
        return math.ceil(steps / stride) * stride

    evaluate_every = whole(train.evaluate_every or train.steps / _EVALUATIONS_A_RUN)
    return Plan(
        total=whole(train.steps),
        report_every=whole(train.report_every or train.steps / _REPORTS_A_RUN),
        evaluate_every=evaluate_every,
        checkpoint_every=whole(train.checkpoint_every or evaluate_every),
        best_metric="return_mean",
        best_is_max=True,
        early_stopping=train.early_stopping,
        nan_rollbacks=train.nan_rollbacks,
    )
