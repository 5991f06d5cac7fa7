"""One side of a comparison: a process that trains on request.

It reads a number of environment steps per line and prints the seconds that they took, so that
two sides, each warm in its own process, can be measured in turns.
"""

import json
import sys
import time
from collections.abc import Callable


def serve(advance: Callable[[int], None]) -> None:
    """Runs until the input ends; `advance` trains for at least the given number of steps."""
    for line in sys.stdin:
        started = time.perf_counter()
        advance(int(line))
        print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)
