"""Importing TensorFlow, TF-Agents and KerasTuner without their output."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hides what libraries print during import; shows it if the import fails."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held_back, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        # Not where a signal stops the process.
        except Exception:
            sys.stderr.flush()
            os.dup2(saved, 2)
            held_back.seek(0)
            os.write(2, held_back.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
