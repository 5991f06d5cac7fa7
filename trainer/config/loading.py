"""Conversion of experiments from and to mappings, JSON and configuration files."""

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trainer.config.fields import (
    ConfigBase,
    default_of,
    element,
    is_section,
    members,
    selector,
    type_hints,
    variants,
)
from trainer.config.rl import ReinforcementLearning
from trainer.config.supervised import Supervised
from trainer.errors import UserError, unknown_name

Experiment = Supervised | ReinforcementLearning


def to_mapping(section: ConfigBase) -> dict[str, Any]:
    """Returns a section as nested plain dictionaries; tuples stay tuples."""
    return {
        field.name: _plain(getattr(section, field.name)) for field in dataclasses.fields(section)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, ConfigBase):
        return to_mapping(value)
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def from_mapping(mapping: Mapping[str, Any]) -> Experiment:
    """Returns the experiment described by a nested mapping, as from `to_mapping` or JSON.

    A missing field takes its default, so that configurations written by an earlier version
    stay valid.

    Raises:
      UserError: for an unknown field or an invalid value; the message has its path.
    """
    return typing.cast(Experiment, _section(Experiment, mapping, "", None))


def _section(hint: Any, mapping: Any, path: str, default: ConfigBase | None) -> ConfigBase:
    """Returns the section at `path`; `default` is what its parent holds by default."""
    shown = path or "the configuration"
    if not isinstance(mapping, Mapping):
        raise UserError(f"{shown} must be a mapping. Received: {mapping!r}")
    variant = _variant(hint, mapping, path, default)
    same = default if type(default) is variant else None
    fields = {field.name: field for field in dataclasses.fields(variant)}
    hints = type_hints(variant)
    values = {}
    for name, value in mapping.items():
        if name not in fields:
            raise unknown_name(f"field of {shown}", name, fields)
        own_default = default_of(fields[name]) if same is None else getattr(same, name)
        where = f"{path}.{name}" if path else name
        values[name] = _value(hints[name], value, where, own_default)
    try:
        return variant(**values) if same is None else dataclasses.replace(same, **values)
    except UserError as error:
        raise UserError(f"{path}.{error}" if path else str(error)) from None


def _variant(
    hint: Any, mapping: Mapping[str, Any], path: str, default: ConfigBase | None
) -> type[ConfigBase]:
    by_name = variants(hint)
    if not by_name:
        return members(hint)[0]
    name = selector(members(hint)[0])
    if name not in mapping and default is not None:
        return type(default)
    chosen = mapping.get(name)
    if chosen not in by_name:
        raise unknown_name(f"{path}.{name}" if path else name, chosen, by_name)
    return by_name[chosen]


def _value(hint: Any, value: Any, path: str, default: Any) -> Any:
    if is_section(hint):
        return _section(hint, value, path, default)
    one = element(hint)
    if one is None or not isinstance(value, list | tuple):
        return value
    if is_section(one):
        items = enumerate(value)
        return tuple(_section(one, item, f"{path}.{number}", None) for number, item in items)
    return tuple(value)


def to_json(experiment: Experiment) -> str:
    """Returns the text of `config.json`; `from_json` restores an equal experiment."""
    return json.dumps(to_mapping(experiment), indent=2) + "\n"


def from_json(text: str, where: str) -> Experiment:
    """Returns the experiment of a `config.json`; `where` names the file in errors."""
    try:
        mapping = json.loads(text)
    except ValueError as error:
        raise UserError(f"{where} is not valid JSON: {error}") from None
    try:
        return from_mapping(mapping)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def load(path: str) -> Experiment:
    """Returns the experiment of a `config.json`, or of a Python file with `get_config()`.

    Raises:
      UserError: if the file is missing or fails, or does not return an experiment.
    """
    if Path(path).suffix == ".json" and Path(path).is_file():
        return from_json(Path(path).read_text(), path)
    experiment = run_function(path, "get_config")
    if not isinstance(experiment, Supervised | ReinforcementLearning):
        raise UserError(
            f"{path}: get_config() must return a Supervised or a ReinforcementLearning from "
            f"trainer.config. Received: {type(experiment).__name__}"
        )
    return experiment


def run_function(path: str, name: str) -> Any:
    """Calls a function without parameters of a Python file, and returns its result.

    Raises:
      UserError: if the file is missing or fails, or has no such function.
    """
    file = Path(path)
    if not file.is_file():
        similar = [str(other) for other in sorted(file.parent.glob("*.py"))]
        raise (
            unknown_name("configuration file", path, similar)
            if similar
            else UserError(f"configuration file {path!r} does not exist, or is not a file")
        )
    if file.suffix != ".py":
        raise UserError(f"a configuration file must end in .py or .json. Received: {path!r}")
    function = getattr(_run_file(file), name, None)
    if not callable(function):
        raise UserError(f"{path} must define a function {name}()")
    return _call(function, path)


def _run_file(file: Path) -> types.ModuleType:
    # Executed instead of imported: an import would write bytecode beside the user's file.
    module = types.ModuleType("trainer_user_config")
    module.__file__ = str(file)
    _call(lambda: exec(compile(file.read_bytes(), file, "exec"), module.__dict__), str(file))
    return module


def _call(function: Callable[[], Any], path: str) -> Any:
    # Any exception of the user's own file is an error in the user's input.
    try:
        return function()
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise UserError(f"{path} fails with {type(error).__name__}: {first_line}") from error
