"""One side of a comparison: a process that works on request.

It reads an amount of work per line, for example a number of updates, and prints the seconds that
it took, so that several sides, each warm in its own process, can be measured in turns.
"""

import json
import sys
import time
from collections.abc import Callable


def serve(measure: Callable[[int], float]) -> None:
    """Runs until the input ends; `measure` works and returns the seconds that count."""
    for line in sys.stdin:
        try:
            answer: dict[str, object] = {"seconds": measure(int(line))}
        except Exception as error:
            answer = {"error": " ".join(f"{type(error).__name__}: {error}".split())}
        print(json.dumps(answer), flush=True)


def timed(advance: Callable[[int], object]) -> Callable[[int], float]:
    """A function that does what `advance` does and returns the seconds that it took."""

    def measure(amount: int) -> float:
        started = time.perf_counter()
        advance(amount)
        return time.perf_counter() - started

    return measure
