"""Names and what they stand for; an unknown name lists the known and the nearest."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from trainer.errors import UserError

Value = TypeVar("Value")


def unknown_name(what: str, name: object, known: Iterable[str]) -> UserError:
    """Returns the error for a `name` that is not among the `known`, nearest first."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UserError(f"unknown {what}.{hint} Known: {', '.join(known)}. Received: {name!r}")


class Registry(Generic[Value], Mapping[str, Value]):
    """A mapping from name to value whose look-up failure is a `UserError`."""

    def __init__(self, what: str):
        self._what = what
        self._values: dict[str, Value] = {}

    def register(self, name: str) -> Callable[[Value], Value]:
        """Returns a decorator that files its argument under `name`."""
        if name in self._values:
            raise ValueError(f"{self._what} {name!r} is registered twice")

        def decorate(value: Value) -> Value:
            self._values[name] = value
            return value

        return decorate

    def __getitem__(self, name: str) -> Value:
        if name not in self._values:
            raise unknown_name(self._what, name, self._values)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
