"""Keyword arguments as texts `name=value`, which a configuration and its overrides can hold."""

import ast
import json
from collections.abc import Sequence
from typing import Any

from trainer.errors import UserError


def parse_keyword_arguments(texts: Sequence[str], what: str) -> dict[str, Any]:
    """Returns the values of `name=value` texts by name.

    A value is a Python or JSON literal, such as `-5`, `true`, `None` or `[1, 2]`; any other
    value is text, with or without quotes.

    Args:
      texts: one per argument.
      what: the configuration field that holds them, for errors.

    Raises:
      UserError: if a text has another form, or two have the same name.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (equals and name.isidentifier()):
            raise UserError(f"{what} must have the form name=value. Received: {text!r}")
        if name in values:
            raise UserError(f"{what} must name each argument once. Received: {name} twice")
        values[name] = _literal(value)
    return values


def _literal(text: str) -> Any:
    for read in (ast.literal_eval, json.loads):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            continue
    return text
