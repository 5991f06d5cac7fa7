"""The flags of each command, defined when asked for, in a registry of their own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags

from trainer.cli import distribution_flags
from trainer.config import loading
from trainer.errors import UserError, unknown_name
from trainer.io.paths import is_remote

_CONFIG_FLAG = "--config"

Define = Callable[[flags.FlagValues], None]


def workdir(values: flags.FlagValues) -> None:
    """`--workdir`."""
    flags.DEFINE_string(
        "workdir", "", "Where the run is kept: a local directory or gs://….", flag_values=values
    )


def data_dir(values: flags.FlagValues) -> None:
    """`--data_dir`."""
    flags.DEFINE_string(
        "data_dir",
        "",
        "Where prepared TensorFlow Datasets lie; empty: TFDS_DATA_DIR, or ~/tensorflow_datasets.",
        flag_values=values,
    )


def split(values: flags.FlagValues) -> None:
    """`--split`."""
    flags.DEFINE_string("split", "test", "train | validation | test.", flag_values=values)


def render(values: flags.FlagValues) -> None:
    """`--render`."""
    flags.DEFINE_boolean(
        "render",
        False,
        "Of an agent: also write WORKDIR/policy.gif, a greedy episode, and "
        "WORKDIR/learning_curve.png.",
        flag_values=values,
    )


def output(values: flags.FlagValues) -> None:
    """`--output`."""
    flags.DEFINE_string(
        "output", "", "A new directory for the SavedModel: local or gs://….", flag_values=values
    )


def parse(define: Sequence[Define], arguments: Sequence[str]) -> tuple[flags.FlagValues, list[str]]:
    """The parsed flags and the positional arguments.

    Raises:
      UserError: for an unknown flag (the nearest is named) or a wrong value.
    """
    values = new_values(define)
    try:
        positional = values(["trainer", *arguments])[1:]
    except flags.UnrecognizedFlagError as error:
        known = [f"--{name}" for name in (*values, "config")]
        raise unknown_name("flag", f"--{error.flagname}", known) from None
    except flags.Error as error:
        raise UserError(f"{str(error).splitlines()[0]}. Received: {' '.join(arguments)}") from None
    if "strategy" in values:
        distribution_flags.from_flags(values)  # refuses wrong values without TensorFlow
    return values, positional


def new_values(define: Sequence[Define]) -> flags.FlagValues:
    """Unparsed flags of a command."""
    values = flags.FlagValues()
    for function in define:
        function(values)
    return values


def split_config(arguments: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """Takes `--config=FILE` and `--config.a.b=value` out of a command's arguments.

    Returns:
      The file ("" if none), the overrides in their order, and the other arguments.

    Raises:
      UserError: if `--config` has no value or comes twice.
    """
    files: list[str] = []
    overrides: list[str] = []
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == _CONFIG_FLAG:
            files.append(next(rest, ""))
        elif argument.startswith(f"{_CONFIG_FLAG}="):
            files.append(argument.partition("=")[2])
        elif argument.startswith(f"{_CONFIG_FLAG}."):
            has_value = "=" in argument
            overrides.append(argument if has_value else f"{argument}={next(rest, '')}")
        else:
            others.append(argument)
    if len(files) > 1 or "" in files:
        raise UserError(f"--config takes one file. Received: {' '.join(arguments)}")
    return (files[0] if files else ""), overrides, others


def experiment(file: str, overrides: Sequence[str]) -> loading.Experiment:
    """The experiment of `--config=FILE` with its overrides.

    Raises:
      UserError: if there is no file, or a field or value is refused.
    """
    if not file:
        raise UserError(
            "--config=FILE says what to train, for example --config=configs/digits_cnn.py. "
            "Received: no --config"
        )
    if is_remote(file):
        # Only TensorFlow reads buckets.
        from trainer.engine.workdir import read_experiment

        return loading.override(read_experiment(file), overrides)
    return loading.override(loading.load(file), overrides)


def flag_help(define: Sequence[Define]) -> list[tuple[str, str]]:
    """`--name=default` and the meaning of each flag of a command."""
    values = new_values(define)
    return [(f"--{name}={values[name].default}", str(values[name].help)) for name in values]


def field_help(file_experiment: loading.Experiment) -> list[tuple[str, str]]:
    """`--config.path=value` and the meaning of each field of an experiment."""
    rows = []
    for path, field, value in loading.paths(file_experiment):
        metadata: Mapping[str, Any] = field.metadata
        allowed = " | ".join(loading.kinds(file_experiment, path)) or str(metadata["allowed"])
        suffix = f" [{allowed}]" if allowed else ""
        rows.append((f"--config.{path}={value}", f"{metadata['doc']}{suffix}"))
    return rows
