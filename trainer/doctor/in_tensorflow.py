"""What only TensorFlow can tell.

`python -m trainer.doctor.in_tensorflow` reads a request as JSON and prints findings as JSON.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from glob import glob
from pathlib import Path

from trainer import strategy
from trainer.backend import tf
from trainer.doctor.directories import is_remote
from trainer.doctor.finding import Finding, of_error
from trainer.errors import UserError
from trainer.run.workdir import check_bucket

_GOOGLE = "0x1ae0"  # as a PCI vendor


def _main() -> None:
    request = json.load(sys.stdin)
    findings = [
        *_check_devices(),
        *check_strategy(strategy.Placement(**request["placement"])),
        *_check_remote("workdir", request["workdir"], writes=True),
        *_check_remote("data_dir", request["data_dir"], writes=False),
    ]
    print(json.dumps([dataclasses.asdict(finding) for finding in findings]))


def _check_devices() -> Iterator[Finding]:
    """What TensorFlow sees, and accelerators of the machine that it does not."""
    seen = {kind: tf.config.list_physical_devices(kind) for kind in ("CPU", "GPU", "TPU")}
    text = ", ".join(f"{len(devices)} {kind}" for kind, devices in seen.items() if devices)
    yield Finding("devices", "ok", text)
    for kind, nodes, remedy in (
        (
            "GPU",
            glob("/dev/nvidia[0-9]*"),
            "install the build for GPUs: make setup ACCELERATOR=gpu, in the image too",
        ),
        (
            "TPU",
            _tpu_nodes(),
            "end the process that holds it; or install its build: make setup ACCELERATOR=tpu",
        ),
    ):
        if nodes and not seen[kind]:
            text = f"the machine has {len(nodes)} {kind}, TensorFlow sees none"
            yield Finding("devices", "warn", text, remedy)


def _tpu_nodes() -> list[str]:
    """The device files of TPUs; newer ones are among those of other passed-through devices."""
    groups = [
        vendor.parts[-4]
        for vendor in Path("/sys/kernel/iommu_groups").glob("*/devices/*/vendor")
        if vendor.read_text().strip() == _GOOGLE
    ]
    nodes = (f"/dev/vfio/{group}" for group in sorted(set(groups)))
    return [*glob("/dev/accel[0-9]*"), *filter(os.path.exists, nodes)]


def check_strategy(placement: strategy.Placement) -> Iterator[Finding]:
    """The strategy that a run would take, its precision, and whether XLA compiles for it."""
    try:
        kind, reason = strategy.choose(placement)
        is_local = placement.tpu in ("", "local")
        if kind == "tpu" and is_local and not tf.config.list_physical_devices("TPU"):
            yield Finding("strategy", "fail", "no TPU is visible to TensorFlow", "see the devices")
            return
        if kind in ("tpu", "multi_worker"):
            # To make it would take the TPU, or wait for the other hosts.
            yield Finding("strategy", "ok", f"strategy {kind} ({reason}); not started here")
            return
        runtime = strategy.create(placement)
    except UserError as error:
        yield of_error("strategy", error)
        return
    yield Finding("strategy", "ok", runtime.description.removeprefix("strategy "))
    yield _check_xla(runtime)


def _check_xla(runtime: strategy.Runtime) -> Finding:
    """Compiles a product of matrices in the precision of a run."""
    dtype = tf.as_dtype(runtime.precision.removeprefix("mixed_"))
    product = tf.function(tf.matmul, jit_compile=True)
    one = tf.ones([2, 2], dtype)
    try:
        runtime.strategy.run(product, args=(one, one))
    except tf.errors.OpError as error:
        text = f"XLA does not compile: {error.message.splitlines()[0]}"
        if runtime.name == "cpu" and runtime.jit != "on":
            return Finding("xla", "warn", text, "leave --jit=auto, which trains without it")
        return Finding("xla", "fail", text, "--jit=off; or install the build for the accelerator")
    if runtime.compiles(default_on_cpu=False):
        used = "every step is compiled"
    elif runtime.jit == "off":
        used = "nothing is compiled"
    else:
        used = "agents are compiled, networks are faster without"
    return Finding("xla", "ok", f"compiles {dtype.name}; --jit={runtime.jit}: {used}")


def _check_remote(check: str, path: str, writes: bool) -> Iterator[Finding]:
    """Whether a gs:// path can be read, or written."""
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
        yield of_error(check, error)
    except tf.errors.OpError as error:
        text = f"{path} cannot be {'written' if writes else 'read'} ({type(error).__name__})"
        yield Finding(check, "fail", text, "gcloud auth application-default login; ask for access")
    else:
        yield Finding(check, "ok", f"{path} can be {'written' if writes else 'read'}")


if __name__ == "__main__":
    _main()
