"""`trainer train`."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags as absl_flags

from trainer.cli import distribution_flags, flags
from trainer.config import loading
from trainer.config.supervised import Supervised
from trainer.engine import parallel_seeds
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.preemption import StopRequest
from trainer.engine.seed_folders import check_layout
from trainer.engine.workdir import announce_finished, check_usable, finished_result
from trainer.errors import UserError
from trainer.tune import hypertune

USAGE = "trainer train --config=FILE --workdir=DIR [--config.section.field=value …] [flags]"
TAKES_CONFIG = True
_WIDTH = 80


def _parallel_seeds(values: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_integer(
        "parallel_seeds",
        0,
        "With seeds > 1 on a CPU: runs that train side by side, each in its process with its "
        "share of the cores; 0: one per core; 1: one after another.",
        lower_bound=0,
        flag_values=values,
    )


def _profile_steps(values: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_string(
        "profile_steps",
        "",
        "FIRST,LAST: also write a trace of these steps to WORKDIR/tensorboard, for its profile "
        "plugin; not with seeds > 1. Empty: none.",
        flag_values=values,
    )


# What every run of several seeds takes too.
_FLAGS_OF_RUNS = (flags.data_dir, flags.accept_changed_data, distribution_flags.define)
FLAGS = (flags.workdir, *_FLAGS_OF_RUNS, _parallel_seeds, _profile_steps)


def run(arguments: Sequence[str], started: float) -> None:
    """Trains, or resumes, and prints where the result is."""
    file, overrides, rest = flags.split_config(arguments)
    values, positional = flags.parse(FLAGS, rest)
    if positional:
        raise UserError(f"train takes flags only. Received: {' '.join(positional)}")
    distribution_config = distribution_flags.from_flags(values)
    distribution_flags.prepare_process(distribution_config)
    experiment = flags.experiment(file, overrides)
    profile_steps = _parse_profile_steps(values.profile_steps, experiment.seeds)
    with StopRequest() as stop, stop.at_once("stopped before training"):
        result = None
        # The chief of several workers checks for all, once they are connected.
        if not distribution_config.joins_a_cluster:
            check_usable(values.workdir, experiment)
            result = finished_result(values.workdir, experiment)
        if result is not None:
            announce_finished(result)
        else:
            processes = parallel_seeds.number_of_processes(
                experiment, distribution_config, values.parallel_seeds
            )
            if processes > 1:
                result = _train_in_parallel(experiment, values, processes, stop)
            else:
                result = _train(
                    experiment, values, distribution_config, started, stop, profile_steps
                )
    if result is not None:
        hypertune.report(result["metrics"], result["step"], os.environ)
        print(_summary(result, values.workdir))


def _train(
    experiment: loading.Experiment,
    values: absl_flags.FlagValues,
    distribution_config: DistributionConfig,
    started: float,
    stop: StopRequest,
    profile_steps: tuple[int, int] | None,
) -> Mapping[str, Any] | None:
    # TensorFlow takes seconds to load; errors of the command line are reported before.
    from trainer.engine.runner import Session

    session = Session(started, stop, profile_steps)
    if isinstance(experiment, Supervised):
        from trainer.supervised.experiments import train

        return train(
            experiment,
            values.workdir,
            distribution_config,
            values.data_dir,
            session,
            values.accept_changed_data,
        )
    from trainer.rl.experiments import train as train_agent

    return train_agent(experiment, values.workdir, distribution_config, session)


def _train_in_parallel(
    experiment: loading.Experiment,
    values: absl_flags.FlagValues,
    processes: int,
    stop: StopRequest,
) -> Mapping[str, Any]:
    check_layout(experiment, values.workdir)
    runs_flags = flags.given(_FLAGS_OF_RUNS, values)
    parallel_seeds.train(experiment, values.workdir, runs_flags, processes, stop)
    with stop.at_once("stopped with the states of all seeds saved"):
        # TensorFlow is loaded only now, to write the records for TensorBoard.
        if isinstance(experiment, Supervised):
            from trainer.supervised.experiments import write_result

            return write_result(experiment, values.workdir, values.accept_changed_data)
        from trainer.rl.experiments import write_result as write_result_of_agents

        return write_result_of_agents(experiment, values.workdir)


def _parse_profile_steps(text: str, seeds: int) -> tuple[int, int] | None:
    """The steps of `--profile_steps`; None if it is empty."""
    if not text:
        return None
    steps = [int(part) if part.strip().isdecimal() else -1 for part in text.split(",")]
    if len(steps) != 2 or not 0 <= steps[0] < steps[1]:
        raise UserError(
            "--profile_steps must be FIRST,LAST with FIRST < LAST, such as 10,20. "
            f"Received: {text!r}"
        )
    if seeds > 1:
        raise UserError(
            f"--profile_steps is for one run; add --config.seeds=1. Received: seeds={seeds}"
        )
    return steps[0], steps[1]


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
