"""Declarations of configuration fields, and the base class that checks them."""

import dataclasses
import math
import types
import typing
from typing import Any

from trainer.errors import UserError, unknown_name

# NumPy and Keras take seeds of 32 bits.
SEEDS = 2**32


@dataclasses.dataclass(frozen=True)
class Allowed:
    """The values that a field, or each element of a tuple, may take."""

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
            f"{sign} {bound if isinstance(bound, int) else format(bound, 'g')}"
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
        """Returns True if a number is finite and within the bounds."""
        return (
            math.isfinite(value)
            and (self.above is None or value > self.above)
            and (self.minimum is None or value >= self.minimum)
            and (self.below is None or value < self.below)
            and (self.maximum is None or value <= self.maximum)
        )


def field(default: Any, doc: str, **allowed: Any) -> Any:
    """Declares a field that holds a value.

    Args:
      default: the default value; its type must match the annotation.
      doc: one sentence for the user, with the unit and the meaning of special values.
      **allowed: the arguments of `Allowed`.
    """
    metadata = {"doc": doc, "allowed": Allowed(**allowed)}
    return dataclasses.field(default=default, metadata=metadata)


def sections(default: tuple["ConfigBase", ...], doc: str) -> Any:
    """Declares a field that holds an ordered tuple of sections."""
    return dataclasses.field(default=default, metadata={"doc": doc})


@dataclasses.dataclass(frozen=True)
class ConfigBase:
    """Base class of every section: checks each field at construction.

    An int given for a float is converted.

    Raises:
      UserError: at construction. The message begins with the name of a field, so that a
        caller can prefix it with the path of the section.
    """

    def __post_init__(self) -> None:
        hints = type_hints(type(self))
        for declared in dataclasses.fields(self):
            name, hint = declared.name, hints[declared.name]
            value = getattr(self, name)
            if hint is float and type(value) is int:
                object.__setattr__(self, name, value := float(value))
            if "allowed" in declared.metadata:
                _check(name, value, hint, declared.metadata["allowed"])
            else:
                _check_section(name, value, hint)
        self.validate()

    def validate(self) -> None:
        """Checks combinations of fields; a section overrides it where needed."""


def check_seeds(seed: int, seeds: int) -> None:
    """Checks that the last of `seeds` consecutive seeds is one."""
    if seed + seeds > SEEDS:
        raise UserError(f"seed + seeds must be <= {SEEDS}. Received: {seed} + {seeds}")


def type_hints(section: type[ConfigBase]) -> dict[str, Any]:
    """Returns the evaluated annotation of each field of a section class."""
    return typing.get_type_hints(section)


def members(hint: Any) -> tuple[type, ...]:
    """Returns the classes of a union, or the single class of a plain annotation."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def element(hint: Any) -> Any:
    """Returns the element annotation of a tuple, or None if `hint` is not a tuple."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else None


def is_section(hint: Any) -> bool:
    """Returns True if an annotation is a section or a union of sections."""
    return all(isinstance(one, type) and issubclass(one, ConfigBase) for one in members(hint))


def default_of(declared: dataclasses.Field[Any]) -> Any:
    """Returns the default value of a dataclass field."""
    if declared.default_factory is not dataclasses.MISSING:
        return declared.default_factory()
    return declared.default


def selector(section: type[ConfigBase]) -> str:
    """Returns the field that names a variant, `kind` or `task`; "" if there is none."""
    names = [declared.name for declared in dataclasses.fields(section)]
    return next((name for name in ("kind", "task") if name in names), "")


def variants(hint: Any) -> dict[str, type[ConfigBase]]:
    """Returns the section classes of an annotation by their `kind` (experiments: `task`)."""
    named = {}
    for section in members(hint):
        if name := selector(section):
            by_name = {one.name: one for one in dataclasses.fields(section)}
            named[str(by_name[name].default)] = section
    return named


def _check_section(name: str, value: Any, hint: Any) -> None:
    if (one := element(hint)) is not None:
        if not isinstance(value, tuple) or not all(isinstance(v, members(one)) for v in value):
            raise UserError(f"{name} must be a tuple of sections. Received: {value!r}")
    elif not isinstance(value, members(hint)):
        raise UserError(f"{name} must be a section. Received: {value!r}")


def _check(name: str, value: Any, hint: Any, allowed: Allowed) -> None:
    one = element(hint)
    if one is None:
        _check_scalar(name, value, hint, allowed, shown=value)
        return
    if not isinstance(value, tuple):
        raise UserError(f"{name} must be a tuple of {one.__name__}. Received: {value!r}")
    if allowed.non_empty and not value:
        raise UserError(f"{name} must not be empty")
    for item in value:
        _check_scalar(name, item, one, allowed, shown=value)


def _check_scalar(name: str, value: Any, kind: type, allowed: Allowed, shown: Any) -> None:
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{name} must be of type {kind.__name__}. Received: {shown!r}")
    if allowed.choices and value not in allowed.choices:
        raise UserError(f"{name}: {unknown_name('value', value, allowed.choices)}")
    if isinstance(value, str) and allowed.non_empty and not value:
        raise UserError(f"{name} must not be empty")
    if isinstance(value, int | float) and not allowed.admits(value):
        raise UserError(f"{name} must be {str(allowed) or 'finite'}. Received: {shown!r}")
