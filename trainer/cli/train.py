"""`trainer train`."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.cli import distribution_flags, flags
from trainer.config.supervised import Supervised
from trainer.engine.preemption import StopRequest
from trainer.errors import UserError
from trainer.tune import hypertune

USAGE = "trainer train --config=FILE --workdir=DIR [--config.section.field=value …] [flags]"
TAKES_CONFIG = True
FLAGS = (flags.workdir, flags.data_dir, distribution_flags.define)


def run(arguments: Sequence[str], started: float) -> None:
    """Trains, or resumes, and says where the result is."""
    file, overrides, rest = flags.split_config(arguments)
    values, positional = flags.parse(FLAGS, rest)
    if positional:
        raise UserError(f"train takes flags only. Received: {' '.join(positional)}")
    experiment = flags.experiment(file, overrides)
    with StopRequest() as stop:
        # TensorFlow takes seconds to load; all that can be refused without it has been.
        from trainer.engine import runner
        from trainer.engine.workdir import check_usable

        check_usable(values.workdir, experiment)
        result = runner.finished_result(values.workdir, experiment)
        if result is not None:
            print(
                f"this run is finished at step {result['step']}; more train.steps or train.epochs "
                "go on from there",
                file=sys.stderr,
            )
        else:
            session = runner.Session(started, stop)
            distribution_config = distribution_flags.from_flags(values)
            if isinstance(experiment, Supervised):
                from trainer.supervised.training import train

                result = train(
                    experiment, values.workdir, distribution_config, values.data_dir, session
                )
            else:
                from trainer.rl.multi_seed import train as train_agent

                result = train_agent(experiment, values.workdir, distribution_config, session)
    if result is not None:
        hypertune.report(result["metrics"], result["step"], os.environ)
        print(_summary(result, values.workdir))


def _summary(result: Mapping[str, Any], workdir: str) -> str:
    figures = "  ".join(
        f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in result["metrics"].items()
        if isinstance(value, int | float)
    )
    follow_up = f"trainer evaluate --workdir={workdir}"
    if result["task"] == "supervised":
        follow_up += f"   trainer predict --workdir={workdir} FILE…"
    else:
        follow_up += " --render"
    seeds = "".join(f"seed_{seed}/, " for seed in result.get("seeds", ()))
    files = f"{seeds}result.json, metrics.jsonl, {'' if seeds else 'checkpoints/, '}tensorboard/"
    return (
        f"finished: step {result['step']}  {figures}  "
        f"({result['seconds']['train']:.1f} s of training)\n"
        f"files in {workdir}: {files}\n"
        f"next: {follow_up}"
    )
