"""Overrides of configuration fields, from the command line or from Python.

`parse` reads `--config.path=value` arguments; `apply` changes an experiment. A search applies
the values of a trial with the same function.
"""

import ast
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from trainer.config.fields import (
    ConfigBase,
    default_of,
    element,
    is_section,
    selector,
    type_hints,
    variants,
)
from trainer.config.inspection import leaves
from trainer.errors import UserError, unknown_name

Section = TypeVar("Section", bound=ConfigBase)

_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")
_MISSING = object()


def parse(arguments: Iterable[str]) -> dict[str, str]:
    """Returns the values of `--config.path=value` arguments by path; the last one counts.

    Raises:
      UserError: if an argument has no value.
    """
    values = {}
    for argument in arguments:
        path, equals, text = argument.removeprefix("--config.").partition("=")
        if not equals:
            raise UserError(
                f"an override must have the form --config.section.field=value. "
                f"Received: {argument!r}"
            )
        values[path] = text
    return values


def apply(section: Section, values: Mapping[str, object]) -> Section:
    """Returns an experiment, or any section, with some of its fields replaced.

    A `kind` takes effect before all other fields of its section, in any position: another
    kind replaces the section with the defaults of that variant, the same kind keeps it. A
    tuple of sections takes kinds, as text or as a tuple, and each element is addressed by
    its position.

    Args:
      section: the section to change; it is left as it is.
      values: by dotted path, for example `{"optimizer.schedule.kind": "cosine",
        "model.units": (64, 64), "augment": "crop,flip", "augment.0.padding": 2}`. Text is
        converted to the type of the field; other values must have that type.

    Raises:
      UserError: for an unknown field (with the most similar one) or an invalid value.
    """
    if "task" in values:
        raise UserError("task is set by the configuration file and cannot be overridden")
    return _replaced(section, type(section), _tree(values), "")


@dataclasses.dataclass
class _Node:
    """The overrides at a path: its own value, and those of the paths below."""

    value: Any = _MISSING
    children: dict[str, "_Node"] = dataclasses.field(default_factory=dict)


def _tree(values: Mapping[str, object]) -> _Node:
    root = _Node()
    for path, value in values.items():
        node = root
        for name in path.split("."):
            node = node.children.setdefault(name, _Node())
        node.value = value
    return root


def _replaced(section: Any, hint: Any, node: _Node, prefix: str) -> Any:
    """Returns a section with overrides.

    Args:
      section: the section, or its class for the defaults; a class is constructed only with
        the overrides, because its defaults alone may be invalid.
      hint: the annotation of the field that holds the section.
      node: the overrides.
      prefix: of the paths in errors, "" or ending in a dot.
    """
    base = section
    if "kind" in node.children and variants(hint) and selector(_class(section)) == "kind":
        base = _variant(section, hint, node.children["kind"], prefix)
    is_class = isinstance(base, type)
    fields = {one.name: one for one in dataclasses.fields(base)}
    hints = type_hints(_class(base))
    changes: dict[str, Any] = {}
    for name, child in node.children.items():
        path = prefix + name
        if name not in fields:
            raise _unknown(path, child, base, prefix)
        if name == "kind" and base is not section:
            continue
        value = default_of(fields[name]) if is_class else getattr(base, name)
        changes[name] = _new_value(value, hints[name], child, path, base, prefix)
    try:
        return base(**changes) if is_class else dataclasses.replace(base, **changes)
    except UserError as error:
        raise UserError(f"{prefix}{error}") from None


def _variant(section: Any, hint: Any, node: _Node, prefix: str) -> Any:
    """Returns the section if it is of the given kind, else the class of that kind."""
    if node.children:
        raise _unknown(f"{prefix}kind", node, section, prefix)
    by_name = variants(hint)
    if node.value not in by_name:
        raise unknown_name(f"{prefix}kind", node.value, by_name)
    variant = by_name[node.value]
    return section if _class(section) is variant else variant


def _class(section: Any) -> type[ConfigBase]:
    return section if isinstance(section, type) else type(section)


def _new_value(value: Any, hint: Any, node: _Node, path: str, base: Any, prefix: str) -> Any:
    if is_section(hint):
        if node.value is not _MISSING:
            raise _unknown(path, _Node(), value, f"{path}.")
        return _replaced(value, hint, node, f"{path}.")
    one = element(hint)
    if is_section(one):
        return _new_sections(value, one, node, path)
    if node.children:
        raise _unknown(path, node, base, prefix)
    return _converted(node.value, hint, path, value)


def _new_sections(value: tuple[Any, ...], hint: Any, node: _Node, path: str) -> tuple[Any, ...]:
    by_name = variants(hint)
    items: list[Any] = list(value)
    if node.value is not _MISSING:
        given = _split(node.value) if isinstance(node.value, str) else node.value
        if not isinstance(given, Sequence):
            raise UserError(
                f"{path} must be a tuple of kinds ({', '.join(by_name)}). Received: {node.value!r}"
            )
        for kind in given:
            if not isinstance(kind, ConfigBase) and kind not in by_name:
                raise unknown_name(f"kind of {path}", kind, by_name)
        items = [kind if isinstance(kind, ConfigBase) else by_name[kind] for kind in given]
    for name, child in node.children.items():
        if not name.isdecimal() or int(name) >= len(items):
            raise UserError(
                f"{path}.{name} does not exist: {path} has {len(items)} elements, counted from 0; "
                f"set --config.{path}=KIND,KIND to change them"
            )
        if child.value is not _MISSING:
            raise UserError(f"{path}.{name} is a section; set {path}.{name}.kind or its fields")
    return tuple(
        _replaced(item, hint, node.children.get(str(number), _Node()), f"{path}.{number}.")
        for number, item in enumerate(items)
    )


def _unknown(path: str, node: _Node, base: Any, prefix: str) -> UserError:
    while node.children and node.value is _MISSING:
        name, node = next(iter(node.children.items()))
        path = f"{path}.{name}"
    known = [leaf.path for leaf in leaves(base, prefix)]
    return unknown_name("configuration field", path, known)


def _converted(value: Any, hint: Any, path: str, current: Any) -> Any:
    """Returns a value as its field takes it; text is converted to the type of the field."""
    one = element(hint)
    if not isinstance(value, str):
        return tuple(value) if one is not None and isinstance(value, list) else value
    try:
        if one is None:
            return _scalar(value, hint)
        return tuple(_scalar(text, one) for text in _split(value))
    except ValueError:
        raise UserError(
            f"{path} must be {_described(hint)}, for example {_example(current, hint)}. "
            f"Received: {value!r}"
        ) from None


def _scalar(text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in (*_TRUE, *_FALSE):
            raise ValueError
        return text.lower() in _TRUE
    return kind(text)


def _split(text: str) -> list[str]:
    """Returns the elements of `1,2`, `(1, 2)`, `("a", "b")`, `()` or empty text."""
    text = text.strip()
    try:
        # Quoted elements may contain commas.
        literal = ast.literal_eval(text)
        if isinstance(literal, tuple | list) and all(isinstance(item, str) for item in literal):
            return list(literal)
    except (ValueError, SyntaxError):
        pass
    if text[:1] + text[-1:] in ("()", "[]"):
        text = text[1:-1].strip()
    text = text.removesuffix(",")
    return [item.strip() for item in text.split(",")] if text else []


def _described(hint: Any) -> str:
    one = element(hint)
    if one is not None:
        return f"a tuple of {one.__name__}"
    return "true or false" if hint is bool else f"of type {hint.__name__}"


def _example(current: Any, hint: Any) -> str:
    if hint is bool:
        return str(current).lower()
    if isinstance(current, tuple):
        return ",".join(map(str, current)) or "()"
    return str(current)
