"""Writes plain data as YAML.

The output is valid in YAML 1.1 and 1.2: keys and values that another type could be read from are
quoted, and texts of several lines are literal blocks where YAML can represent them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = "str | int | bool | Sequence[Value] | Mapping[str, Value]"

# Safe without quotes, except for the words that YAML 1.1 reads as booleans and null.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_RESERVED = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
# The characters that YAML 1.1 and 1.2 allow unescaped, besides line breaks. U+0085, U+2028 and
# U+2029 are line breaks in YAML 1.1, and U+FEFF is a byte order mark.
_PRINTABLE = "\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff"
_UNPRINTABLE = re.compile(f"[^{_PRINTABLE}]")
# The first character of a block decides its indentation, so it must not be white space.
_BLOCK = re.compile(f"(?!\\s)[{_PRINTABLE}\\n]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INDENT = "  "


def documents(values: Sequence[Mapping[str, Value]]) -> str:
    """A stream of documents, separated by `---`."""
    return "---\n".join(document(value) for value in values)


def document(value: Mapping[str, Value]) -> str:
    """One document in block style; mappings keep their order.

    Args:
      value: nested mappings with string keys, sequences, strings, integers and booleans.
    """
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Value) -> list[str]:
    """The lines of a value that is not on the line of its key."""
    if isinstance(value, Mapping) and value:
        return [line for key, item in value.items() for line in _entry(f"{_scalar(key)}:", item)]
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return [line for item in value for line in _item(item)]
    return [_inline(value)]


def _entry(key: str, item: Value) -> list[str]:
    if isinstance(item, str) and "\n" in item and _BLOCK.fullmatch(item):
        return [f"{key} {_chomping(item)}", *_block(item)]
    if _is_nested(item):
        return [key, *(_INDENT + line if line else line for line in _lines(item))]
    return [f"{key} {_inline(item)}"]


def _item(item: Value) -> list[str]:
    if isinstance(item, str):
        return _entry("-", item)
    first, *rest = _lines(item)
    return [f"- {first}", *(_INDENT + line if line else line for line in rest)]


def _is_nested(value: Value) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str) and bool(value)


def _inline(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _scalar(value)
    return "{}" if isinstance(value, Mapping) else "[]"


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    escaped = "".join(_ESCAPES.get(character, character) for character in text)
    return f'"{_UNPRINTABLE.sub(_escape, escaped)}"'


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _chomping(text: str) -> str:
    """How many of the last line breaks a block keeps: none, one or all."""
    if not text.endswith("\n"):
        return "|-"
    return "|+" if text.endswith("\n\n") else "|"


def _block(text: str) -> list[str]:
    lines = text.removesuffix("\n").split("\n")
    return [_INDENT + line if line else line for line in lines]
