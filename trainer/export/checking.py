"""Opens an export in a process without this package, and compares it with the live model."""

import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.errors import UserError
from trainer.export import standalone

# Differences of probabilities, or of values divided by their standard deviation.
TOLERANCE = 1e-5
_SECONDS = 600


class Call(NamedTuple):
    """A call of an export.

    Attributes:
      signature: name of the function, where there are several.
      inputs: arrays by name.
      output: the name of the output to compare; empty: the only one.
      expected: what the live model gives.
      scale: by which differences are divided.
    """

    signature: str
    inputs: Mapping[str, NDArray[Any]]
    output: str
    expected: NDArray[Any]
    scale: NDArray[np.float64] | float = 1.0


def check(kind: str, path: str, calls: Sequence[Call]) -> None:
    """Checks that an export gives what the live model gives.

    Args:
      kind: format of the export.
      path: of the export.
      calls: with real examples.

    Raises:
      UserError: if it cannot be opened, or an output differs.
    """
    for call, received in zip(calls, outputs(kind, path, calls), strict=True):
        difference = np.abs(received.astype(np.float64) - call.expected) / call.scale
        worst = float(np.max(difference, initial=0.0))
        # A NaN is no small difference.
        if not worst <= TOLERANCE:
            raise UserError(
                f"the export as {kind} does not compute what the trained model computes: outputs "
                f"differ by up to {worst:.2g}, the tolerance is {TOLERANCE:g}; nothing was written"
            )


def outputs(kind: str, path: str, calls: Sequence[Call]) -> list[NDArray[Any]]:
    """The output of each call of an export, in a process that does not load this package.

    Raises:
      UserError: if it cannot be opened, or a call fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        request, response = Path(folder, "request"), Path(folder, "response")
        wanted = [(call.signature, dict(call.inputs)) for call in calls]
        request.write_bytes(pickle.dumps({"format": kind, "path": path, "calls": wanted}))
        command = [sys.executable, "-I", standalone.__file__, str(request), str(response)]
        ended = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        if ended.returncode:
            lines = ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"]
            raise UserError(f"the export as {kind} in {path} cannot be used: {lines[-1]}")
        answers = pickle.loads(response.read_bytes())
    return [
        np.asarray(answer[call.output] if call.output else next(iter(answer.values())))
        for call, answer in zip(calls, answers, strict=True)
    ]
