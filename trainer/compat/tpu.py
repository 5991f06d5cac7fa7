"""The TPU of this machine, and how TensorFlow is told to load it. Does not import TensorFlow.

TPU v2, v3 and v4 have the classic API of libtpu. Later generations have PJRT: TensorFlow loads
libtpu as a plug-in, which environment variables request before TensorFlow is imported. They may
be set only in the one process that uses the TPU: docs/decisions/0024-tpu-stack.md.
"""

import contextlib
import dataclasses
import fcntl
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Literal

from trainer.errors import UserError

Api = Literal["classic", "pjrt"]


@dataclasses.dataclass(frozen=True)
class Generation:
    """A TPU generation.

    Attributes:
      api: the API through which TensorFlow uses it.
      largest_on_one_host: the largest slice with one host, in the unit of the accelerator type:
        cores for v2, v3, v4 and v5p, chips for v5e (v5litepod) and v6e.
    """

    api: Api
    largest_on_one_host: int


# By the prefix of the accelerator type, as in v6e-8. Source: https://cloud.google.com/tpu/docs
GENERATIONS: Mapping[str, Generation] = {
    "v2": Generation("classic", 8),
    "v3": Generation("classic", 8),
    "v4": Generation("classic", 8),
    "v5litepod": Generation("pjrt", 8),
    "v5p": Generation("pjrt", 8),
    "v6e": Generation("pjrt", 8),
}
# The newest build for TPUs with all symbols that libtpu's plug-in needs.
PJRT_TENSORFLOW = "2.19"
ONE_HOST = "one TPU host; several are not supported yet"

_BUILD = "tensorflow-tpu"
_DEV = Path("/dev")
# libtpu holds a POSIX lock on it while a process uses the TPU.
_LOCK_FILE = Path("/tmp/libtpu_lockfile")
_LOAD = "TPU_LOAD_LIBRARY"
_PLUGIN = "TF_PLUGGABLE_DEVICE_LIBRARY_PATH"
_XLA_FLAGS = "TF_XLA_FLAGS"
_BRIDGE = "--tf_mlir_enable_mlir_bridge"
# Names are not resolved: without a network, this takes longer than the timeout.
_METADATA_HOST = "169.254.169.254"
_METADATA_SECONDS = 1.0
_MAX_METADATA_BYTES = 200


@dataclasses.dataclass(frozen=True)
class LocalTPU:
    """The TPU of this machine: its accelerator type, such as v6e-8, and its API."""

    accelerator_type: str
    api: Api


def device_files(dev: Path = _DEV) -> list[str]:
    """Returns the device files of TPUs: `/dev/accel*`, or `/dev/vfio/N` for newer ones."""
    return sorted(map(str, [*dev.glob("accel*"), *dev.glob("vfio/[0-9]*")]))


def accelerator_type(environment: Mapping[str, str]) -> str:
    """Returns the accelerator type of this machine, such as v6e-8; empty if it is unknown.

    It is read from TPU_ACCELERATOR_TYPE, or else from the metadata server of Google Cloud, which
    is not asked if TPU_SKIP_MDS_QUERY is 1. GCE_METADATA_HOST replaces the server's address.
    """
    given = environment.get("TPU_ACCELERATOR_TYPE", "")
    if given or environment.get("TPU_SKIP_MDS_QUERY") in ("1", "true"):
        return given
    return _metadata("accelerator-type", environment.get("GCE_METADATA_HOST", _METADATA_HOST))


def api(accelerator: str) -> Api:
    """Returns the API of an accelerator type; a generation later than the known ones has PJRT."""
    generation = GENERATIONS.get(accelerator.partition("-")[0])
    return generation.api if generation else "pjrt"


def find(
    is_required: bool, environment: Mapping[str, str] | None = None, dev: Path = _DEV
) -> LocalTPU | None:
    """Returns the TPU that this process is to use. It is not initialized.

    Args:
      is_required: whether a TPU was requested, rather than used if there is one.
      environment: the variables to read; None: those of this process.
      dev: the directory of the device files.

    Returns:
      The TPU; None if none is required and there is none, or its type is unknown, or this
      TensorFlow is not the build for TPUs.

    Raises:
      UserError: if a TPU is required and there is none or its type is unknown, if the TPU has
        several hosts, or if its API is PJRT and this TensorFlow cannot use it.
    """
    environment = os.environ if environment is None else environment
    if not is_required and not _version():
        return None
    if not device_files(dev):
        if not is_required:
            return None
        raise UserError(
            "this machine has no TPU; run this on a TPU VM, in a container that gets "
            f"these devices, or use --strategy=cpu. Received: no {dev}/accel* and no {dev}/vfio/N"
        )
    accelerator = accelerator_type(environment)
    if not accelerator:
        if not is_required:
            return None
        raise UserError(
            "the type of this machine's TPU is unknown; set TPU_ACCELERATOR_TYPE, for example to "
            "v6e-8. Received: no TPU_ACCELERATOR_TYPE, and no answer from the metadata server"
        )
    _check_hosts(accelerator, environment)
    found = LocalTPU(accelerator, api(accelerator))
    if found.api == "pjrt" and not _version().startswith(f"{PJRT_TENSORFLOW}."):
        raise UserError(
            f"TPU {accelerator} needs the TPU build of TensorFlow {PJRT_TENSORFLOW}; make setup "
            "ACCELERATOR=tpu, or pip install --no-deps -r requirements/tpu.txt. "
            f"Received: {_BUILD} {_version() or 'not installed'}"
        )
    return found


def prepare(
    is_required: bool,
    environment: MutableMapping[str, str] | None = None,
    dev: Path = _DEV,
    lock_file: Path = _LOCK_FILE,
) -> LocalTPU | None:
    """Finds the TPU and sets the variables with which TensorFlow loads it, if it needs any.

    Only the process that uses the TPU may call this, and before it imports TensorFlow.

    Args:
      is_required: as for `find`.
      environment: the variables to read and set; None: those of this process.
      dev: the directory of the device files.
      lock_file: the file that libtpu locks.

    Raises:
      UserError: as for `find`, or if another process uses the TPU.
      RuntimeError: if TensorFlow has been imported.
    """
    environment = os.environ if environment is None else environment
    found = find(is_required, environment, dev)
    if found and found.api == "pjrt":
        if "tensorflow" in sys.modules:
            raise RuntimeError("the TPU must be prepared before TensorFlow is imported")
        _check_unused(lock_file)
        # With the plug-in, TPU_LOAD_LIBRARY=0 aborts the import.
        environment.pop(_LOAD, None)
        environment.update(_pjrt_variables(environment))
    return found


@contextlib.contextmanager
def not_loaded() -> Iterator[None]:
    """TensorFlow, if it is imported within, does not load libtpu, which may claim the TPU.

    Afterwards the variables are as before, for child processes.
    """
    given = {name: os.environ.get(name) for name in (_LOAD, _PLUGIN)}
    os.environ.pop(_PLUGIN, None)
    os.environ[_LOAD] = "0"
    try:
        yield
    finally:
        for name, value in given.items():
            if value is not None:
                os.environ[name] = value
            elif name in os.environ:
                del os.environ[name]


def environment_without(environment: Mapping[str, str], dev: Path = _DEV) -> dict[str, str]:
    """Returns the environment of a child process that must not claim a TPU with PJRT."""
    inner = {name: value for name, value in environment.items() if name != _PLUGIN}
    if device_files(dev) and api(accelerator_type(environment)) == "pjrt":
        inner[_LOAD] = "0"
    return inner


def is_hidden(environment: Mapping[str, str]) -> bool:
    """Returns whether TensorFlow, imported with these variables, does not load libtpu."""
    return environment.get(_LOAD) == "0"


def is_plugin_requested(environment: Mapping[str, str]) -> bool:
    """Returns whether TensorFlow, imported with these variables, loads a plug-in."""
    return bool(environment.get(_PLUGIN))


def _check_hosts(accelerator: str, environment: Mapping[str, str]) -> None:
    name, _, size = accelerator.partition("-")
    generation = GENERATIONS.get(name)
    workers = environment.get("TPU_WORKER_HOSTNAMES", "").split(",")
    is_slice = (
        generation is not None and size.isdecimal() and int(size) > generation.largest_on_one_host
    )
    if is_slice or len(workers) > 1:
        raise UserError(f"{ONE_HOST}. Received: TPU {accelerator}, {len(workers)} worker(s)")


def _check_unused(lock_file: Path) -> None:
    """Checks that no other process uses the TPU; the import of TensorFlow would abort.

    A process that uses the TPU itself must not call this: closing the file releases its lock.
    """
    try:
        with lock_file.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(
            "another process uses the TPU, or another user has left its lock; end that process, "
            f"or remove {lock_file}. Received: {error.strerror}"
        ) from None


def _pjrt_variables(environment: Mapping[str, str]) -> dict[str, str]:
    spec = importlib.util.find_spec("libtpu")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "libtpu is not installed; pip install --no-deps -r requirements/tpu.txt. "
            f"Received: {_BUILD} {_version()} without libtpu"
        )
    flags = environment.get(_XLA_FLAGS, "").split()
    if not any(flag.startswith(_BRIDGE) for flag in flags):
        flags.append(f"{_BRIDGE}=true")
    return {
        "PJRT_DEVICE": "TPU",
        "NEXT_PLUGGABLE_DEVICE_USE_C_API": "true",
        _PLUGIN: str(Path(spec.submodule_search_locations[0]) / "libtpu.so"),
        _XLA_FLAGS: " ".join(flags),
    }


def _version() -> str:
    """Returns the version of TensorFlow's build for TPUs; empty if it is not installed."""
    # Imported here, like http.client, because every command would wait for it.
    from importlib import metadata

    try:
        return metadata.version(_BUILD)
    except metadata.PackageNotFoundError:
        return ""


def _metadata(attribute: str, host: str) -> str:
    """Returns an attribute of this machine; empty if there is none or no server answers.

    Source: https://cloud.google.com/compute/docs/metadata/querying-metadata
    """
    import http.client

    # Unlike urllib, http.client does not use a proxy of the environment.
    connection = http.client.HTTPConnection(host, timeout=_METADATA_SECONDS)
    try:
        path = f"/computeMetadata/v1/instance/attributes/{attribute}"
        connection.request("GET", path, headers={"Metadata-Flavor": "Google"})
        response = connection.getresponse()
        text = response.read(_MAX_METADATA_BYTES).decode(errors="replace").strip()
        is_google = response.headers.get("Metadata-Flavor") == "Google"
        return text if response.status == http.HTTPStatus.OK and is_google else ""
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
