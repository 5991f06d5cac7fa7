"""Views of an experiment: its leaf fields, and how two experiments differ."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

from trainer.config.fields import ConfigBase, default_of, element, is_section, type_hints, variants


class Leaf(NamedTuple):
    """A field that an override can set.

    Attributes:
      path: dotted path, for example `optimizer.learning_rate` or `augment.0.padding`.
      field: the declaration, with its documentation in `metadata["doc"]`.
      value: the value; of a tuple of sections, their kinds.
      kinds: the variants to choose from, if the field selects variants.
    """

    path: str
    field: dataclasses.Field[Any]
    value: Any
    kinds: tuple[str, ...] = ()


def leaves(section: ConfigBase | type[ConfigBase], prefix: str = "") -> Iterator[Leaf]:
    """Yields the leaf fields of a section and its nested sections, in declaration order.

    Args:
      section: a section, or a section class for the defaults of its fields.
      prefix: put before each path.
    """
    return _leaves(section, prefix, ())


def _leaves(
    section: ConfigBase | type[ConfigBase], prefix: str, kinds: tuple[str, ...]
) -> Iterator[Leaf]:
    hints = type_hints(section if isinstance(section, type) else type(section))
    for field in dataclasses.fields(section):
        path, hint = f"{prefix}{field.name}", hints[field.name]
        is_class = isinstance(section, type)
        value = default_of(field) if is_class else getattr(section, field.name)
        if is_section(hint):
            yield from _leaves(value, f"{path}.", _choices(hint))
        elif is_section(element(hint)):
            choices = _choices(element(hint))
            yield Leaf(path, field, tuple(item.kind for item in value), tuple(choices))
            for number, item in enumerate(value):
                yield from _leaves(item, f"{path}.{number}.", choices)
        else:
            yield Leaf(path, field, value, kinds if field.name == "kind" else ())


def _choices(hint: Any) -> tuple[str, ...]:
    names = tuple(variants(hint))
    return names if len(names) > 1 else ()


def differences(old: ConfigBase, new: ConfigBase) -> list[str]:
    """Returns `path: old → new` for each leaf that differs, `-` where a side lacks it."""
    old_values = {leaf.path: leaf.value for leaf in leaves(old)}
    new_values = {leaf.path: leaf.value for leaf in leaves(new)}
    return [
        f"{path}: {old_values.get(path, '-')} → {new_values.get(path, '-')}"
        for path in sorted(old_values | new_values)
        if old_values.get(path, "-") != new_values.get(path, "-")
    ]
