"""`trainer train`."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.cli import distribution_flags, flags
from trainer.config.supervised import Supervised
from trainer.engine.preemption import StopRequest
from trainer.errors import UserError
from trainer.tune import hypertune

USAGE = "trainer train --config=FILE --workdir=DIR [--config.section.field=value …] [flags]"
TAKES_CONFIG = True
_WIDTH = 80
FLAGS = (
    flags.workdir,
    flags.data_dir,
    flags.accept_changed_data,
    distribution_flags.define,
)


def run(arguments: Sequence[str], started: float) -> None:
    """Trains, or resumes, and prints where the result is."""
    file, overrides, rest = flags.split_config(arguments)
    values, positional = flags.parse(FLAGS, rest)
    if positional:
        raise UserError(f"train takes flags only. Received: {' '.join(positional)}")
    distribution_config = distribution_flags.from_flags(values)
    distribution_flags.prepare_process(distribution_config)
    experiment = flags.experiment(file, overrides)
    with StopRequest() as stop, stop.at_once("stopped before training"):
        # TensorFlow takes seconds to load; errors above are reported before.
        from trainer.engine import runner
        from trainer.engine.workdir import check_usable

        result = None
        # The chief of several workers checks for all, once they are connected.
        if not distribution_config.joins_a_cluster:
            check_usable(values.workdir, experiment)
            result = runner.finished_result(values.workdir, experiment)
        if result is not None:
            runner.announce_finished(result)
        else:
            session = runner.Session(started, stop)
            if isinstance(experiment, Supervised):
                from trainer.supervised.experiments import train

                result = train(
                    experiment,
                    values.workdir,
                    distribution_config,
                    values.data_dir,
                    session,
                    values.accept_changed_data,
                )
            else:
                from trainer.rl.experiments import train as train_agent

                result = train_agent(experiment, values.workdir, distribution_config, session)
    if result is not None:
        hypertune.report(result["metrics"], result["step"], os.environ)
        print(_summary(result, values.workdir))


def _summary(result: Mapping[str, Any], workdir: str) -> str:
    is_supervised = result["task"] == "supervised"
    follow_up = (
        f"predict --workdir={workdir} FILE…"
        if is_supervised
        else (f"evaluate --workdir={workdir} --render")
    )
    reference = f"published: {result['reference']}\n" if "reference" in result else ""
    seeds = "".join(f"seed_{seed}/, " for seed in result.get("seeds", ()))
    files = f"{seeds}result.json, metrics.jsonl, {'' if seeds else 'checkpoints/, '}tensorboard/"
    return (
        f"finished at step {result['step']} after {result['seconds']['train']:.1f} s of training\n"
        f"{_metrics_line(result['metrics'])}\n"
        f"{reference}"
        f"files in {workdir}: {files}\n"
        f"next: trainer {follow_up}"
    )


def _metrics_line(metrics: Mapping[str, Any]) -> str:
    """The first metrics that fit on a line of 80 columns; result.json has all of them."""
    line = ""
    for name, value in metrics.items():
        if isinstance(value, int | float):
            text = f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}"
            longer = f"{line}  {text}" if line else text
            if len(longer) >= _WIDTH:
                break
            line = longer
    return line
