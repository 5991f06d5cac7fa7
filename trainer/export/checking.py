"""Opens an export in a process without this package, and compares it with the live model."""

import os
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
_SECONDS = 1800


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


class Checker:
    """A process that does not load this package, and opens an export.

    It loads TensorFlow, or what else a format needs, while this process does.
    """

    def __init__(self, kind: str):
        """Starts the process.

        Args:
          kind: format of the export.
        """
        self._kind = kind
        self._folder = tempfile.TemporaryDirectory()
        self._errors = Path(self._folder.name, "errors")
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-I", standalone.__file__, kind],
                cwd=self._folder.name,
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
            )

    def __enter__(self) -> "Checker":
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def check(self, path: str, calls: Sequence[Call]) -> None:
        """Checks that an export gives what the live model gives; once.

        Args:
          path: of the export.
          calls: with real examples.

        Raises:
          UserError: if it cannot be opened, or an output differs.
        """
        for call, received in zip(calls, self.outputs(path, calls), strict=True):
            difference = np.abs(received.astype(np.float64) - call.expected) / call.scale
            worst = float(np.max(difference, initial=0.0))
            # A NaN is no small difference.
            if not worst <= TOLERANCE:
                raise UserError(
                    f"the export as {self._kind} does not compute what the trained model computes: "
                    f"outputs differ by up to {worst:.2g}, the tolerance is {TOLERANCE:g}"
                )

    def outputs(self, path: str, calls: Sequence[Call]) -> list[NDArray[Any]]:
        """The output of each call of an export; once.

        Raises:
          UserError: if it cannot be opened, or a call fails.
        """
        response = Path(self._folder.name, "response")
        wanted = [(call.signature, dict(call.inputs)) for call in calls]
        request = {"path": os.path.abspath(path), "calls": wanted, "response": str(response)}
        try:
            self._process.communicate(pickle.dumps(request), timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise UserError(
                f"the export as {self._kind} did not answer within {_SECONDS} s; try again on a "
                "faster machine"
            ) from error
        if self._process.returncode:
            lines = self._errors.read_text(errors="replace").strip().splitlines()
            reason = lines[-1] if lines else f"exit status {self._process.returncode}"
            raise UserError(f"the export as {self._kind} in {path} cannot be used: {reason}")
        answers = pickle.loads(response.read_bytes())
        return [
            np.asarray(answer[call.output] if call.output else next(iter(answer.values())))
            for call, answer in zip(calls, answers, strict=True)
        ]
