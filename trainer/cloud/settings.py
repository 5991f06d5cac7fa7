"""Reads `cloud.toml`: where to run a job and on what. Flags of the same names override it."""

import dataclasses
import sys
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from trainer.config.fields import ConfigBase, field
from trainer.errors import UserError, unknown_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_FILE = "cloud.toml"


@dataclasses.dataclass(frozen=True)
class Settings(ConfigBase):
    """The settings that all targets have; a target may add its own."""

    bucket: str = field("", "Bucket for results and staged files: its name, without gs://.")
    poll_seconds: int = field(15, "Seconds between two queries of a state.", minimum=1)

    def validate(self) -> None:
        """Refuses a bucket with a scheme or a folder."""
        if "/" in self.bucket:
            raise UserError(
                f"bucket must be a name without gs:// and folders. Received: {self.bucket!r}"
            )


@dataclasses.dataclass(frozen=True)
class Setting:
    """One field of a settings class: its name, type, default and help text."""

    name: str
    type: type
    default: Any
    doc: str


def fields(classes: Collection[type[Settings]]) -> list[Setting]:
    """The fields of several settings classes, each once."""
    found: dict[str, Setting] = {}
    for settings in classes:
        hints = typing.get_type_hints(settings)
        for one in dataclasses.fields(settings):
            setting = Setting(one.name, hints[one.name], one.default, str(one.metadata["doc"]))
            found.setdefault(one.name, setting)
    return list(found.values())


def names(settings: type[Settings]) -> set[str]:
    """The names of the settings of a class."""
    return {one.name for one in dataclasses.fields(settings)}


def load(
    path: str, target: str, classes: Mapping[str, type[Settings]], flags: Mapping[str, Any]
) -> Settings:
    """Loads the settings of a target.

    In rising order of precedence: defaults, the file, its table `[target]`, flags. Settings in the
    file that only other targets have are ignored.

    Args:
      path: a TOML file; if empty, `cloud.toml` is read if it exists.
      target: name of the target.
      classes: the settings class of each target.
      flags: settings given as flags.

    Raises:
      UserError: for an unknown target or setting, a flag that the target does not have, or a value
        that is not allowed.
    """
    if target not in classes:
        raise unknown_name("value of --target", target, classes)
    content = _read(path)
    file = path or DEFAULT_FILE
    known = [setting.name for setting in fields(classes.values())]
    tables = {name: content.pop(name) for name in classes if name in content}
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise UserError(f"{file}: {name} must be a table, [{name}]. Received: {table!r}")
    for table in (content, *tables.values()):
        for name in table:
            if name not in known:
                raise unknown_name(f"setting in {file}", name, [*known, *classes])
    own = names(classes[target])
    for name in flags:
        if name not in own:
            raise unknown_name(f"setting of --target={target}", name, own)
    from_file = {**content, **tables.get(target, {})}
    from_file = {name: value for name, value in from_file.items() if name in own}
    try:
        classes[target](**from_file)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    return classes[target](**{**from_file, **flags})


def _read(path: str) -> dict[str, Any]:
    file = Path(path or DEFAULT_FILE)
    if not file.is_file():
        if path:
            raise UserError(f"--settings={path}: no such file")
        return {}
    try:
        return tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not valid TOML: {error}") from None
