"""Command-line flags. Each command defines its own flags in a separate registry."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags

from trainer.cli import distribution_flags
from trainer.config import loading, overrides
from trainer.config.inspection import leaves
from trainer.errors import UserError, unknown_name
from trainer.io.paths import is_remote

_CONFIG_FLAG = "--config"

Define = Callable[[flags.FlagValues], None]


def workdir(values: flags.FlagValues) -> None:
    """Defines `--workdir`."""
    flags.DEFINE_string("workdir", "", "Directory of the run, local or gs://….", flag_values=values)


def data_dir(values: flags.FlagValues) -> None:
    """Defines `--data_dir`."""
    flags.DEFINE_string(
        "data_dir",
        "",
        "Directory of prepared TensorFlow Datasets; empty: TFDS_DATA_DIR, or "
        "~/tensorflow_datasets.",
        flag_values=values,
    )


def accept_changed_data(values: flags.FlagValues) -> None:
    """Defines `--accept_changed_data`."""
    flags.DEFINE_boolean(
        "accept_changed_data",
        False,
        "Resume a supervised run although its data have changed; its scaling and classes stay.",
        flag_values=values,
    )


def split(values: flags.FlagValues) -> None:
    """Defines `--split`."""
    flags.DEFINE_string(
        "split",
        "test",
        "train | validation | test. With --data.FIELD=value all examples of those data are "
        "evaluated unless --split is given.",
        flag_values=values,
    )


def episodes(values: flags.FlagValues) -> None:
    """Defines `--episodes`."""
    flags.DEFINE_integer(
        "episodes",
        0,
        "For agents: the number of episodes; 0: that of the configuration.",
        lower_bound=0,
        flag_values=values,
    )


def render(values: flags.FlagValues) -> None:
    """Defines `--render`."""
    flags.DEFINE_boolean(
        "render",
        False,
        "For agents: also write WORKDIR/policy.gif (with ffmpeg policy.mp4 too), a greedy episode, "
        "and WORKDIR/learning_curve.png.",
        flag_values=values,
    )


def parse(define: Sequence[Define], arguments: Sequence[str]) -> tuple[flags.FlagValues, list[str]]:
    """Returns the parsed flags and the positional arguments.

    Raises:
      UserError: for an unknown flag (with the most similar one) or an invalid value.
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
    """Returns the flags of a command, not yet parsed."""
    values = flags.FlagValues()
    for function in define:
        function(values)
    return values


def given(define: Sequence[Define], values: flags.FlagValues) -> tuple[str, ...]:
    """Returns the arguments for another command that takes the same flags.

    Args:
      define: defines the flags to pass on.
      values: the parsed flags of this command.
    """
    return tuple(
        f"--{name}={values[name].value}"
        for name in new_values(define)
        if values[name].value != values[name].default
    )


def split_config(arguments: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """Separates `--config=FILE` and `--config.a.b=value` from other arguments.

    Returns:
      The file ("" if none), the override arguments in order, and the other arguments.

    Raises:
      UserError: if `--config` has no value or is given twice.
    """
    files: list[str] = []
    config_overrides: list[str] = []
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == _CONFIG_FLAG:
            files.append(next(rest, ""))
        elif argument.startswith(f"{_CONFIG_FLAG}="):
            files.append(argument.partition("=")[2])
        elif argument.startswith(f"{_CONFIG_FLAG}."):
            has_value = "=" in argument
            config_overrides.append(argument if has_value else f"{argument}={next(rest, '')}")
        else:
            others.append(argument)
    if len(files) > 1 or "" in files:
        raise UserError(f"--config takes a single file. Received: {' '.join(arguments)}")
    return (files[0] if files else ""), config_overrides, others


def split_section(arguments: Sequence[str], section: str) -> tuple[dict[str, str], list[str]]:
    """Separates `--SECTION.a.b=value` from other arguments.

    Returns:
      The values by path, which begins with the section; and the other arguments.

    Raises:
      UserError: if one has no value.
    """
    prefix = f"--{section}."
    own = [argument for argument in arguments if argument.startswith(prefix)]
    for argument in own:
        if "=" not in argument:
            raise UserError(f"{prefix}FIELD=value is needed. Received: {argument}")
    others = [argument for argument in arguments if not argument.startswith(prefix)]
    return dict(argument.removeprefix("--").split("=", 1) for argument in own), others


def experiment(file: str, config_overrides: Sequence[str]) -> loading.Experiment:
    """Returns the experiment of `--config=FILE` with `--config.a.b=value` overrides.

    Raises:
      UserError: if there is no file, or a field or value is invalid.
    """
    if not file:
        raise UserError("--config=FILE is required, for example --config=configs/digits_cnn.py")
    if is_remote(file):
        # Reading from a bucket requires TensorFlow.
        from trainer.engine.workdir import read_experiment

        base = read_experiment(file)
    else:
        base = loading.load(file)
    return overrides.apply(base, overrides.parse(config_overrides))


def flag_help(define: Sequence[Define]) -> list[tuple[str, str]]:
    """Returns `--name=default` and the description of each flag of a command."""
    values = new_values(define)
    return [(f"--{name}={values[name].default}", str(values[name].help)) for name in values]


def field_help(experiment: loading.Experiment) -> list[tuple[str, str]]:
    """Returns `--config.path=value` and the description of each field of an experiment."""
    rows = []
    for leaf in leaves(experiment):
        metadata: Mapping[str, Any] = leaf.field.metadata
        allowed = " | ".join(leaf.kinds) or str(metadata.get("allowed", ""))
        suffix = f" [{allowed}]" if allowed else ""
        rows.append((f"--config.{leaf.path}={_text(leaf.value)}", f"{metadata['doc']}{suffix}"))
    return rows


def _text(value: object) -> str:
    """Returns a value as an override takes it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
