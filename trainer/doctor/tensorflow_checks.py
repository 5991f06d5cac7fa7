"""The checks that need TensorFlow: devices, strategy, XLA and remote directories.

`python -m trainer.doctor.tensorflow_checks` reads a request as JSON from standard input and
prints the findings as JSON.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from glob import glob
from pathlib import Path

from trainer.compat import tpu
from trainer.compat.keras import tf
from trainer.doctor.finding import Finding, Level, from_error
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.errors import UserError
from trainer.io.paths import check_bucket, is_remote

_GOOGLE = "0x1ae0"  # PCI vendor ID


def _main() -> None:
    request = json.load(sys.stdin)
    findings = [
        *_check_devices(),
        *check_strategy(DistributionConfig(**request["config"])),
        *_check_remote("workdir", request["workdir"], writes=True),
        *_check_remote("data_dir", request["data_dir"], writes=False),
    ]
    print(json.dumps([dataclasses.asdict(finding) for finding in findings]))


def _check_devices() -> Iterator[Finding]:
    """The devices that TensorFlow sees, and accelerators that it does not see."""
    seen = {kind: tf.config.list_physical_devices(kind) for kind in ("CPU", "GPU", "TPU")}
    text = ", ".join(f"{len(devices)} {kind}" for kind, devices in seen.items() if devices)
    yield Finding("devices", Level.OK, text)
    for kind, nodes, remedy in (
        (
            "GPU",
            glob("/dev/nvidia[0-9]*"),
            "install the GPU build: make setup ACCELERATOR=gpu, or the image with ACCELERATOR=gpu",
        ),
        (
            "TPU",
            _tpu_nodes(),
            "stop the process that holds it, or install the TPU build: make setup ACCELERATOR=tpu",
        ),
    ):
        if kind == "TPU" and nodes and tpu.is_hidden(os.environ):
            # Loading libtpu would claim the TPU.
            yield Finding("devices", Level.OK, f"{len(nodes)} {kind}; not loaded by this check")
        elif nodes and not seen[kind]:
            text = f"the machine has {len(nodes)} {kind}, but TensorFlow sees none"
            yield Finding("devices", Level.WARN, text, remedy)


def _tpu_nodes() -> list[str]:
    """The device files of TPUs. Newer TPUs use VFIO, like other passed-through devices."""
    groups = [
        vendor.parts[-4]
        for vendor in Path("/sys/kernel/iommu_groups").glob("*/devices/*/vendor")
        if vendor.read_text().strip() == _GOOGLE
    ]
    nodes = (f"/dev/vfio/{group}" for group in sorted(set(groups)))
    return [*glob("/dev/accel[0-9]*"), *filter(os.path.exists, nodes)]


def check_strategy(config: DistributionConfig) -> Iterator[Finding]:
    """The strategy and precision that a run would use, and whether XLA compiles for them."""
    try:
        here = tpu.find(config.requires_tpu) if config.may_use_tpu else None
        if here and here.api == "pjrt":
            kind, reason = "tpu", here.accelerator_type
        else:
            kind, reason = distribution.choose(config)
            if kind == "tpu" and not tf.config.list_physical_devices("TPU"):
                yield Finding(
                    "strategy", Level.FAIL, "no TPU is visible to TensorFlow", "see devices above"
                )
                return
        if kind in ("tpu", "multi_worker"):
            # Creating it would claim the TPU, or wait for the other hosts.
            yield Finding("strategy", Level.OK, f"{kind} ({reason}); not created by this check")
            return
        runtime = distribution.create(config)
    except UserError as error:
        yield from_error("strategy", error)
        return
    yield Finding("strategy", Level.OK, runtime.description.removeprefix("strategy "))
    yield _check_xla(runtime)


def _check_xla(runtime: distribution.Runtime) -> Finding:
    """Compiles a matrix product in the precision of a run."""
    dtype = tf.as_dtype(runtime.precision.removeprefix("mixed_"))
    product = tf.function(tf.matmul, jit_compile=True)
    one = tf.ones([2, 2], dtype)
    try:
        runtime.strategy.run(product, args=(one, one))
    except tf.errors.OpError as error:
        text = f"XLA compilation fails: {error.message.splitlines()[0]}"
        if runtime.name == "cpu" and runtime.jit != "on":
            return Finding("xla", Level.WARN, text, "keep --jit=auto, which trains without XLA")
        return Finding(
            "xla", Level.FAIL, text, "use --jit=off, or install the build for this accelerator"
        )
    if runtime.compiles(default_on_cpu=False):
        used = "all steps"
    elif runtime.jit == "off":
        used = "nothing"
    else:
        used = "agents only"
    return Finding("xla", Level.OK, f"compiles {dtype.name}; --jit={runtime.jit} compiles {used}")


def _check_remote(check: str, path: str, writes: bool) -> Iterator[Finding]:
    """Checks that a remote path can be read, or written."""
    if not is_remote(path):
        return
    probe = f"{path.rstrip('/')}/.doctor-{os.getpid()}"
    try:
        check_bucket(path)
        if writes:
            with tf.io.gfile.GFile(probe, "w") as file:
                file.write("trainer doctor was here\n")
            tf.io.gfile.remove(probe)
        else:
            tf.io.gfile.listdir(path)
    except UserError as error:
        yield from_error(check, error)
    except tf.errors.OpError as error:
        text = f"{path} cannot be {'written' if writes else 'read'} ({type(error).__name__})"
        yield Finding(
            check, Level.FAIL, text, "gcloud auth application-default login, or request access"
        )
    else:
        yield Finding(check, Level.OK, f"{path} can be {'written' if writes else 'read'}")


if __name__ == "__main__":
    _main()
