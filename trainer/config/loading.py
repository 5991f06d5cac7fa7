"""Between an experiment and the outside: mappings, JSON, configuration files, flags."""

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_dict, config_flags

from trainer.config.fields import ConfigBase, members
from trainer.config.rl import ReinforcementLearning
from trainer.config.supervised import Supervised
from trainer.errors import UserError, unknown_name

Experiment = Supervised | ReinforcementLearning


def to_mapping(section: ConfigBase) -> dict[str, Any]:
    """A section as nested plain dictionaries; tuples stay tuples."""
    return {
        field.name: to_mapping(value) if isinstance(value, ConfigBase) else value
        for field in dataclasses.fields(section)  # type: ignore[arg-type]
        for value in [getattr(section, field.name)]
    }


def from_mapping(mapping: Mapping[str, Any]) -> Experiment:
    """The experiment a nested mapping describes, as `to_mapping` or JSON gives it.

    Raises:
      UserError: for an unknown or a missing field, or a value its field refuses, with
        the path of the field.
    """
    return typing.cast(Experiment, _section(Supervised | ReinforcementLearning, mapping, ""))


def _section(hint: Any, mapping: Any, path: str) -> ConfigBase:
    if not isinstance(mapping, Mapping):
        raise UserError(f"{path or 'the configuration'} must be a mapping. Received: {mapping!r}")
    variant = _variant(hint, mapping, path)
    hints = typing.get_type_hints(variant)
    names = [field.name for field in dataclasses.fields(variant)]  # type: ignore[arg-type]
    for name in mapping:
        if name not in names:
            raise unknown_name(f"field of {path or 'the configuration'}", name, names)
    values: dict[str, Any] = {}
    for name in names:
        where = f"{path}.{name}" if path else name
        if name not in mapping:
            raise UserError(f"{where} is missing. Received: {', '.join(mapping)}")
        values[name] = _value(hints[name], mapping[name], where)
    try:
        return variant(**values)
    except UserError as error:
        raise UserError(f"{path}.{error}" if path else str(error)) from None


def _variant(hint: Any, mapping: Mapping[str, Any], path: str) -> type[ConfigBase]:
    variants = members(hint)
    if len(variants) == 1:
        return variants[0]
    selector = "kind" if path else "task"
    by_name = variants_by_name(variants)
    name = mapping.get(selector)
    if name not in by_name:
        raise unknown_name(f"{path}.{selector}" if path else selector, name, by_name)
    return by_name[name]


def variants_by_name(variants: Sequence[type[ConfigBase]]) -> dict[str, type[ConfigBase]]:
    """The classes of a union under their `kind`, or their `task` for experiments."""
    named: dict[str, type[ConfigBase]] = {}
    for variant in variants:
        fields = {field.name: field for field in dataclasses.fields(variant)}  # type: ignore[arg-type]
        named[str(fields["kind" if "kind" in fields else "task"].default)] = variant
    return named


def _value(hint: Any, value: Any, path: str) -> Any:
    if typing.get_origin(hint) is tuple:
        element = typing.get_args(hint)[0]
        is_sequence = isinstance(value, list | tuple)
        return tuple(_value(element, item, path) for item in value) if is_sequence else value
    if issubclass(members(hint)[0], ConfigBase):
        return _section(hint, value, path)
    return value


def to_json(experiment: Experiment) -> str:
    """The text of `config.json`; `from_json` gives an equal experiment back."""
    return json.dumps(to_mapping(experiment), indent=2) + "\n"


def from_json(text: str, where: str) -> Experiment:
    """The experiment of a `config.json`; `where` names it in an error."""
    try:
        mapping = json.loads(text)
    except ValueError as error:
        raise UserError(f"{where} is not JSON: {error}. Received: {text[:40]!r}") from None
    try:
        return from_mapping(mapping)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def load(path: str) -> Experiment:
    """The experiment of a `configs/*.py` file's `get_config()`, or of a `config.json`.

    Raises:
      UserError: if the file is missing, broken, or gives no experiment.
    """
    if Path(path).suffix == ".json" and Path(path).is_file():
        return from_json(Path(path).read_text(), path)
    experiment = run_function(path, "get_config")
    if not isinstance(experiment, Supervised | ReinforcementLearning):
        raise UserError(
            "get_config() must return a Supervised or a ReinforcementLearning from "
            f"trainer.config. Received: {type(experiment).__name__} from {path}"
        )
    return experiment


def run_function(path: str, name: str) -> Any:
    """What the function `name` of a configuration file, Python without arguments, returns.

    Raises:
      UserError: if the file is missing, broken, or has no such function.
    """
    file = Path(path)
    if not file.is_file():
        near = [str(other) for other in sorted(file.parent.glob("*.py"))]
        raise (
            unknown_name("configuration file", path, near)
            if near
            else UserError(f"there is no configuration file. Received: {path!r}")
        )
    if file.suffix != ".py":
        raise UserError(f"a configuration file ends in .py or .json. Received: {path!r}")
    function = getattr(_run_file(file), name, None)
    if not callable(function):
        raise UserError(f"{path} has no function {name}(). Received: {path!r}")
    return _call(function, path)


def _run_file(file: Path) -> types.ModuleType:
    # Not imported: that would leave bytecode beside the user's file.
    module = types.ModuleType("trainer_user_config")
    module.__file__ = str(file)
    _call(lambda: exec(compile(file.read_bytes(), file, "exec"), module.__dict__), str(file))
    return module


def _call(function: Callable[[], Any], path: str) -> Any:
    # Whatever goes wrong in the user's own file is the user's to mend.
    try:
        return function()
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"{path} cannot be run; mend it. Received: {type(error).__name__}: {first_line}"
        ) from error


def paths(
    section: ConfigBase, prefix: str = ""
) -> Iterator[tuple[str, dataclasses.Field[Any], Any]]:
    """Every leaf of an experiment: dotted path, field, value."""
    for field in dataclasses.fields(section):  # type: ignore[arg-type]
        value = getattr(section, field.name)
        if isinstance(value, ConfigBase):
            yield from paths(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", field, value


def kinds(experiment: Experiment, path: str) -> list[str]:
    """The variants that a field `section.kind` chooses from; none for any other field."""
    section, _, name = path.partition(".")
    variants = members(typing.get_type_hints(type(experiment))[section])
    return list(variants_by_name(variants)) if name == "kind" and len(variants) > 1 else []


def override(experiment: Experiment, overrides: Sequence[str]) -> Experiment:
    """The experiment with `--config.a.b=value` arguments applied.

    An override of a `kind` comes first, whatever its place: it exchanges the section for
    that variant's defaults.

    Raises:
      UserError: for an unknown field (the nearest is named) or a value it refuses.
    """
    mapping = to_mapping(experiment)
    pairs = [_split_override(text) for text in overrides]
    for path, text in pairs:
        if path.endswith(".kind") and path.count(".") == 1:
            section = path.removesuffix(".kind")
            if section in mapping:
                mapping[section] = _exchange(experiment, section, text)
    known = [path for path, _, _ in paths(from_mapping(mapping))]
    for path, _ in pairs:
        if path not in known:
            section = path.partition(".")[0] + "."
            same_section = [other for other in known if other.startswith(section)]
            raise unknown_name("configuration field", path, same_section or known)
    if "task" in dict(pairs):
        raise UserError(f"task is the file's to choose. Received: {dict(pairs)['task']!r}")
    values = flags.FlagValues()
    arguments = ["", *(f"--config.{path}={text}" for path, text in pairs)]
    holder = config_dict.ConfigDict(mapping, convert_dict=True)
    try:
        config_flags.DEFINE_config_dict("config", holder, flag_values=values, sys_argv=arguments)
        values(arguments)
    except flags.Error as error:
        raise _refused_value(error, pairs, mapping) from None
    return from_mapping(holder.to_dict())


def _split_override(text: str) -> tuple[str, str]:
    name, equals, value = text.removeprefix("--config.").partition("=")
    if not equals:
        raise UserError(f"an override is --config.section.field=value. Received: {text!r}")
    return name, value


def _exchange(experiment: Experiment, section: str, kind: str) -> dict[str, Any]:
    hint = typing.get_type_hints(type(experiment))[section]
    by_name = variants_by_name(members(hint))
    if kind not in by_name:
        raise unknown_name(f"{section}.kind", kind, by_name)
    current = getattr(experiment, section)
    return to_mapping(current if current.kind == kind else by_name[kind]())


def _refused_value(
    error: flags.Error, pairs: Sequence[tuple[str, str]], mapping: Mapping[str, Any]
) -> UserError:
    for path, text in pairs:
        if f"config.{path}={text}" in str(error):
            value: Any = mapping
            for name in path.split("."):
                value = value[name]
            kind = "true or false" if isinstance(value, bool) else f"of type {type(value).__name__}"
            return UserError(f"{path} must be {kind}, as {value!r}. Received: {text!r}")
    return UserError(str(error).splitlines()[0])


def differences(old: Experiment, new: Experiment) -> list[str]:
    """`path: old → new` for each leaf that differs, `-` where one side has none."""
    old_leaves = {path: value for path, _, value in paths(old)}
    new_leaves = {path: value for path, _, value in paths(new)}
    return [
        f"{path}: {old_leaves.get(path, '-')} → {new_leaves.get(path, '-')}"
        for path in sorted(old_leaves | new_leaves)
        if old_leaves.get(path, "-") != new_leaves.get(path, "-")
    ]
