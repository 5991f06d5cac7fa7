"""One run of an agent: trained, or resumed, in a work directory."""

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

from trainer.config.rl import ReinforcementLearning
from trainer.engine import agreement, runner
from trainer.engine.checkpoints import CheckpointInfo
from trainer.engine.distribution import Runtime
from trainer.engine.schedule import Schedule
from trainer.engine.workdir import announce_finished, check_usable, finished_result
from trainer.io.records import Value
from trainer.rl.evaluate import record_split
from trainer.rl.loading import evaluate_checkpoints
from trainer.rl.settings import replay_of
from trainer.rl.task import ReinforcementLearningTask

_REPORTS_PER_RUN = 20
_EVALUATIONS_PER_RUN = 10


def train(
    experiment: ReinforcementLearning,
    path: str,
    runtime: Runtime,
    session: runner.Session,
    prepare: Callable[[], None] = lambda: None,
) -> Mapping[str, Any] | None:
    """Trains, or resumes, the run of `experiment.seed`; returns what `runner.run` does.

    Args:
      experiment: the configuration, with one seed.
      path: its work directory.
      runtime: where to compute.
      session: the process of the run.
      prepare: called after all checks, before anything is written.

    Raises:
      UserError: if settings, environment or distribution do not fit.
      Interrupted: when a stop was requested; the state is saved.
    """
    finished = finished_result(path, experiment) if runtime.is_chief else None
    if any(runtime.texts_of_workers("finished" if finished else "")):
        # The command line announces that of one process before TensorFlow starts.
        if finished and runtime.workers > 1:
            announce_finished(finished)
        return finished
    with agreement.shared_errors(runtime):
        if runtime.is_chief:
            check_usable(path, experiment)
        task = ReinforcementLearningTask(experiment, runtime)
    session.check()
    prepare()
    train = experiment.train
    replay = replay_of(experiment)
    if replay and runtime.is_chief:
        size = task.experience_bytes / 2**20
        print(f"replay {replay.capacity:,} transitions in {size:,.1f} MiB", file=sys.stderr)
        if replay.min_size > train.steps:
            print(
                f"the agent will not learn: agent.replay.min_size={replay.min_size} is larger than "
                f"train.steps={train.steps}",
                file=sys.stderr,
            )

    def final_evaluation(found: CheckpointInfo) -> runner.FinalEvaluation:
        def evaluate() -> Mapping[str, Value]:
            return task.by_chief(task.evaluator.evaluate_final)

        metrics = evaluate_checkpoints(experiment, path, task.agent, found, evaluate)
        return runner.FinalEvaluation(record_split(experiment), metrics)

    return runner.run(
        runner.RunSpec(
            experiment=experiment,
            task=task,
            schedule=make_schedule(experiment, task.steps_per_iteration),
            checkpoints_to_keep=train.checkpoints_to_keep,
            weights=experiment.evaluate.checkpoint,
            signature=None,
            final_evaluation=final_evaluation,
            reference=experiment.evaluate.reference,
        ),
        path,
        runtime,
        session,
    )


def make_schedule(experiment: ReinforcementLearning, steps_per_iteration: int) -> Schedule:
    """The schedule in environment steps, each interval rounded up to whole iterations."""
    train = experiment.train

    def whole(steps: float) -> int:
        return math.ceil(steps / steps_per_iteration) * steps_per_iteration

    evaluate_every = whole(train.evaluate_every or train.steps / _EVALUATIONS_PER_RUN)
    return Schedule(
        total_steps=whole(train.steps),
        report_every=whole(train.report_every or train.steps / _REPORTS_PER_RUN),
        evaluate_every=evaluate_every,
        checkpoint_every=whole(train.checkpoint_every or evaluate_every),
        best_metric="return_mean",
        more_is_better=True,
        early_stopping=train.early_stopping,
        nan_rollbacks=train.nan_rollbacks,
        stop_at=float(train.stop_at_return) if train.stop_at_return else None,
    )
