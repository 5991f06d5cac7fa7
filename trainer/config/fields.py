"""`field`: a dataclass field that knows its meaning and its allowed values."""

import dataclasses
import math
import types
import typing
from typing import Any

from trainer.errors import UserError, unknown_name


@dataclasses.dataclass(frozen=True)
class Allowed:
    """What a field's value, or each element of a tuple, may be."""

    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    non_empty: bool = False

    def __str__(self) -> str:
        if self.choices:
            return " | ".join(self.choices)
        bounds = [
            f"{sign} {bound:g}"
            for sign, bound in (
                (">", self.above),
                (">=", self.minimum),
                ("<", self.below),
                ("<=", self.maximum),
            )
            if bound is not None
        ]
        return " and ".join(bounds) or ("not empty" if self.non_empty else "")

    def admits(self, value: float) -> bool:
        """Whether a finite number lies within the bounds."""
        return (
            math.isfinite(value)
            and (self.above is None or value > self.above)
            and (self.minimum is None or value >= self.minimum)
            and (self.below is None or value < self.below)
            and (self.maximum is None or value <= self.maximum)
        )


def field(default: Any, doc: str, **allowed: Any) -> Any:
    """Declares a field: its default, its meaning with unit and sentinel, what it may be.

    Args:
      default: the default value; its type must be the field's annotation.
      doc: one sentence for the user, with the unit and the meaning of a sentinel.
      **allowed: the arguments of `Allowed`.
    """
    metadata = {"doc": doc, "allowed": Allowed(**allowed)}
    return dataclasses.field(default=default, metadata=metadata)


def sections(default: tuple["ConfigBase", ...], doc: str) -> Any:
    """Declares a field that holds a tuple of sections, in order."""
    return dataclasses.field(default=default, metadata={"doc": doc})


class ConfigBase:
    """Base of every dataclass of the schema: checks each field when it is made.

    A whole number given for a float becomes one.

    Raises:
      UserError: at construction; the message begins with the name of a field, so that
        whoever knows the path to this section can put it in front.
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if hints[field.name] is float and type(value) is int:
                object.__setattr__(self, field.name, value := float(value))
            if "allowed" in field.metadata:
                _check(field.name, value, hints[field.name], field.metadata["allowed"])
            else:
                _check_section(field.name, value, hints[field.name])
        self.validate()

    def validate(self) -> None:
        """Refuses combinations of values; a section overrides it where it has any."""


def members(hint: Any) -> tuple[type, ...]:
    """The classes of a union, or the one class of a plain annotation."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def _check_section(name: str, value: Any, hint: Any) -> None:
    if typing.get_origin(hint) is tuple:
        kinds = members(typing.get_args(hint)[0])
        if not isinstance(value, tuple) or not all(isinstance(item, kinds) for item in value):
            raise UserError(f"{name} must be a tuple of sections. Received: {value!r}")
    elif not isinstance(value, members(hint)):
        raise UserError(f"{name} must be a section. Received: {value!r}")


def _check(name: str, value: Any, hint: Any, allowed: Allowed) -> None:
    if typing.get_origin(hint) is tuple:
        element = typing.get_args(hint)[0]
        if not isinstance(value, tuple):
            raise _refused(name, value, f"a tuple of {element.__name__}")
        if allowed.non_empty and not value:
            raise _refused(name, value, "a tuple that is not empty")
        for item in value:
            _check_scalar(name, item, element, allowed, shown=value)
    else:
        _check_scalar(name, value, hint, allowed, shown=value)


def _check_scalar(name: str, value: Any, kind: type, allowed: Allowed, shown: Any) -> None:
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise _refused(name, shown, f"of type {kind.__name__}")
    if allowed.choices and value not in allowed.choices:
        raise UserError(f"{name} is an {unknown_name('name', value, allowed.choices)}")
    if isinstance(value, str) and allowed.non_empty and not value:
        raise _refused(name, shown, "not empty")
    if isinstance(value, int | float) and not allowed.admits(value):
        raise _refused(name, shown, str(allowed) or "finite")


def _refused(name: str, value: Any, wanted: str) -> UserError:
    return UserError(f"{name} must be {wanted}. Received: {value!r}")
