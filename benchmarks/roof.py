"""What the machine can do at most, measured with PyTorch on all cores.

.venv-peers/bin/python benchmarks/roof.py float32|bfloat16|copy
"""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_SIZE = 2048
_COPIED_BYTES = 2**28

# Floating-point operations of a matrix product, and bytes that a copy reads and writes.
WORK = {"float32": 2 * _SIZE**3, "bfloat16": 2 * _SIZE**3, "copy": 2 * _COPIED_BYTES}


def main() -> None:
    """Serves repetitions of a matrix product or a copy."""
    # `WORK` is imported where there is no PyTorch.
    import torch
    from contender import serve, timed

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    work = sys.argv[1]
    if work == "copy":
        source = torch.ones(_COPIED_BYTES, dtype=torch.uint8)
        target = torch.empty_like(source)

        def once() -> "torch.Tensor":
            return target.copy_(source)
    else:
        matrix = torch.rand(_SIZE, _SIZE).to(getattr(torch, work))
        product = torch.empty_like(matrix)

        def once() -> "torch.Tensor":
            return torch.mm(matrix, matrix, out=product)

    def repeat(number: int) -> None:
        for _ in range(number):
            once()

    serve(timed(repeat))


if __name__ == "__main__":
    main()
