"""One side of a comparison: a process that trains a little whenever it is told to.

It reads a number of environment steps a line and answers with the seconds they took, so
that two sides, each warm in a process of its own, can be measured in turns.
"""

import json
import sys
import time
from collections.abc import Callable


def serve(advance: Callable[[int], None]) -> None:
    """Answers until the input ends; `advance` trains for at least so many steps."""
    for line in sys.stdin:
        started = time.perf_counter()
        advance(int(line))
        print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)
