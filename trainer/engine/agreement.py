"""What the workers of a job agree on before they train together.

Without agreement each worker would train something else, or wait for ever for another that has
ended with an error. All workers call these functions at the same places.
"""

import contextlib
import hashlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping

from trainer.engine.distribution import Runtime
from trainer.engine.workdir import WorkDirectory
from trainer.errors import UserError
from trainer.io.files import read_text, write_text
from trainer.io.paths import to_path

# How long a network file system may take to show a new file to other hosts.
_VISIBLE_SECONDS = 10.0


@contextlib.contextmanager
def shared_errors(runtime: Runtime) -> Iterator[None]:
    """A context in which an error of one worker's input is raised by all of them.

    Raises:
      UserError: the worker's own, or that of the first worker with one.
    """
    error = None
    try:
        yield
    except UserError as own:
        error = own
    texts = runtime.texts_of_workers(str(error or ""))
    if error:
        raise error
    for worker, text in enumerate(texts):
        if text:
            raise UserError(f"worker {worker}: {text}")


def check_equal(runtime: Runtime, facts: Mapping[str, str]) -> None:
    """Checks that all workers have the same facts, by what they are called.

    Raises:
      UserError: on all workers, with the first difference.
    """
    digests = {name: hashlib.sha256(fact.encode()).hexdigest() for name, fact in facts.items()}
    first, *others = map(json.loads, runtime.texts_of_workers(json.dumps(digests)))
    for worker, other in enumerate(others, 1):
        for name in facts:
            if other[name] != first[name]:
                raise UserError(
                    f"workers 0 and {worker} have different {name}; start the same command with "
                    "the same files on all hosts"
                )


def check_shared_directory(runtime: Runtime, path: str) -> None:
    """Checks that all workers see the chief's work directory, which exists.

    Raises:
      UserError: on all workers, if one of them does not.
    """
    if runtime.workers == 1:
        return
    file = WorkDirectory(path).token
    if runtime.is_chief:
        write_text(file, uuid.uuid4().hex)
    own = read_text(file) if runtime.is_chief else ""
    token = next(text for text in runtime.texts_of_workers(own) if text)
    seen = runtime.texts_of_workers("yes" if _appears(file, token) else "no")
    if runtime.is_chief:
        to_path(file).unlink()
    for worker, answer in enumerate(seen):
        if answer == "no":
            raise UserError(
                f"worker {worker} does not see the chief's work directory; --workdir must be on "
                f"storage that all hosts share, for example gs://bucket/run. Received: {path}"
            )


def _appears(file: str, token: str) -> bool:
    until = time.monotonic() + _VISIBLE_SECONDS
    while True:
        if to_path(file).exists() and read_text(file) == token:
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
