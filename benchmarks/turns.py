"""Measurement in turns, so that other work on the machine slows all sides down alike."""

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"

# Does an amount of work and returns the seconds that it took.
Measure = Callable[[int], float]


class Side(NamedTuple):
    """One side of a comparison, and its amount of work per turn."""

    measure: Measure
    amount: int


class ContenderError(Exception):
    """A contender failed; the message has the reason."""


class Contender:
    """A process that runs `contender.serve`; a context that ends with the process."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None):
        """Starts the process; without an environment it has that of this process."""
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def measure(self, amount: int) -> float:
        """Seconds for an amount of work.

        Raises:
          ContenderError: if the process reports an error or ends.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{amount}\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ContenderError(
                f"exit status {self._process.wait()}; run it by hand: {self._process.args}"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise ContenderError(answer["error"])
        return float(answer["seconds"])

    def __enter__(self) -> "Contender":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def rate(measure: Measure, seconds: float) -> float:
    """Amount of work per second, over at least a third of `seconds`; the first call warms up."""
    measure(1)
    amount = 1
    while (taken := measure(amount)) < seconds / 3:
        amount = math.ceil(amount * min(10.0, seconds / taken))
    return amount / taken


def take_turns(sides: Mapping[str, Side], turns: int) -> dict[str, list[float]]:
    """The amount of work per second of each side in each turn."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(turns):
        print(f"turn {turn + 1} of {turns}", file=sys.stderr)
        for name, side in sides.items():
            rates[name].append(side.amount / side.measure(side.amount))
    return rates


def ratios(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """The ratio of two sides in each turn."""
    return [value / other for value, other in zip(values, others, strict=True)]


def spread(values: Sequence[float], form: str = ",.0f") -> str:
    """The median, and the least and the most."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}}–{high:{form}})"
