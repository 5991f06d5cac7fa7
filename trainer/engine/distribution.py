"""From the distribution flags to a tf.distribute strategy, a precision policy and XLA.

They are chosen at run time and are not part of an experiment's configuration.
"""

import contextlib
import dataclasses
import importlib.util
import os

import numpy as np
from numpy.typing import NDArray

from trainer.compat import tpu
from trainer.compat.keras import keras, tf
from trainer.engine import peers
from trainer.engine.cluster import ClusterSpec, from_environment, training_hosts
from trainer.engine.distribution_config import DistributionConfig
from trainer.errors import Interrupted, UserError

# Processor features that multiply bfloat16 matrices in hardware.
_BFLOAT16_CPU_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
# Two streams won on two cores (docs/LOG.md, 2026-11-28); other numbers have not been measured.
_CORES_FOR_STREAMS = 2
# The length of the texts that workers exchange.
_TEXT_BYTES = 4096
# The first NVIDIA generation with bfloat16 arithmetic (Ampere).
_BFLOAT16_COMPUTE_CAPABILITY = (8, 0)


@dataclasses.dataclass(frozen=True)
class Runtime:
    """The strategy in force.

    Attributes:
      strategy: owns the variables and runs the steps.
      precision: the Keras mixed precision policy's name.
      jit: on, off or auto; with auto the task decides.
      description: one line for the user: what was selected and why.
      cluster: the hosts that train together; None for one process.
      streams: parts of a batch that are computed side by side: 2 on a CPU of two cores if the
        task allows it, else 1.
    """

    strategy: tf.distribute.Strategy
    precision: str
    jit: str
    description: str
    cluster: ClusterSpec | None = None
    streams: int = 1

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the work directory."""
        return self.cluster is None or self.cluster.is_chief

    @property
    def replicas(self) -> int:
        """The replicas of all workers, among which a global batch is divided."""
        return self.strategy.num_replicas_in_sync

    @property
    def local_replicas(self) -> int:
        """The replicas of this process."""
        return self.replicas // self.workers

    @property
    def global_replica_ids(self) -> range:
        """The numbers of this process's replicas among all."""
        first = self.worker * self.local_replicas
        return range(first, first + self.local_replicas)

    @property
    def workers(self) -> int:
        """The number of processes that train together."""
        return len(self.cluster.training_hosts) if self.cluster else 1

    @property
    def worker(self) -> int:
        """The number of this process among the workers."""
        return self.cluster.worker if self.cluster else 0

    @property
    def other_workers(self) -> dict[int, str]:
        """The addresses of the other workers by number."""
        return self.cluster.other_workers if self.cluster else {}

    def sum_over_workers(self, value: float) -> float:
        """The sum of every worker's value; all workers must call it."""
        return float(self.sums_over_workers(np.asarray(value)))

    def sums_over_workers(self, own: NDArray[np.float64]) -> NDArray[np.float64]:
        """The elementwise sum of every worker's array; all workers must call it."""
        if not self.cluster:
            return own
        # Each worker contributes one array per replica.
        share = tf.constant(own / self.local_replicas, tf.float64)
        values = self.strategy.experimental_distribute_values_from_function(lambda _: share)
        return np.asarray(self.strategy.reduce("SUM", values, axis=None))

    def texts_of_workers(self, text: str) -> list[str]:
        """Every worker's text in their order, cut to some thousand characters."""
        if not self.cluster:
            return [text]
        encoded = text.encode()[:_TEXT_BYTES]
        codes = tf.constant([[*encoded, *[0] * (_TEXT_BYTES - len(encoded))]], tf.int32)
        values = self.strategy.experimental_distribute_values_from_function(lambda _: codes)
        rows = self.strategy.gather(values, axis=0).numpy()[:: self.local_replicas]
        return [
            bytes(code for code in row.tolist() if code).decode(errors="ignore") for row in rows
        ]

    def compiles(self, default_on_cpu: bool) -> bool:
        """Whether XLA compiles a step; `default_on_cpu` is the task's choice for CPUs."""
        if self.jit != "auto":
            return self.jit == "on"
        return self.name != "cpu" or (default_on_cpu and xla_compiles_for_cpus())

    @property
    def name(self) -> str:
        """The kind of device: cpu, gpu or tpu."""
        if isinstance(self.strategy, tf.distribute.TPUStrategy):
            return "tpu"
        device = self.strategy.extended.worker_devices[0]
        return "gpu" if "GPU" in device.upper() else "cpu"


def create(config: DistributionConfig, allow_streams: bool = False) -> Runtime:
    """Creates the strategy and sets the process-wide precision policy.

    Args:
      config: the flags.
      allow_streams: whether the task can compute both halves of a batch side by side. TensorFlow
        then gets one thread per operation and runs two operations at a time.

    Raises:
      UserError: if a requested device is missing, or TF_CONFIG is invalid.
      Interrupted: if a worker of the cluster does not start.
    """
    # Several processes, such as the trials of a search, can then share a GPU.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    kind, reason = choose(config)
    if config.virtual_devices:
        _split_devices(config.virtual_devices, "GPU" if _uses_gpu(kind) else "CPU")
    streams = _streams(config) if kind == "cpu" and allow_streams else 1
    cluster = from_environment() if kind == "multi_worker" else None
    strategy = _connect(config, cluster) if cluster else _MAKERS[kind](config)
    runtime = Runtime(strategy, "float32", config.jit, "", cluster, streams)
    precision = _precision(config.precision, runtime.name)
    keras.mixed_precision.set_global_policy(precision)
    count = runtime.replicas
    devices = f"{count} replica{'s' if count > 1 else ''} on {runtime.name}, {precision}"
    if streams > 1:
        devices += f", {streams} streams"
    return dataclasses.replace(
        runtime, precision=precision, description=f"strategy {kind}: {devices} ({reason})"
    )


def _connect(config: DistributionConfig, cluster: ClusterSpec) -> tf.distribute.Strategy:
    others = cluster.other_workers
    peers.wait_until_started(cluster.training_hosts[cluster.worker], others)
    try:
        with peers.default_signals():
            return _multi_worker(config)
    except tf.errors.OpError as error:
        reason = peers.lost_message(peers.lost(others))
        raise Interrupted(f"the workers could not be connected: {reason}") from error


def _streams(config: DistributionConfig) -> int:
    """The number of streams on this CPU; sets the number of threads if it is more than one."""
    if config.jit == "on" or len(_available_cores()) != _CORES_FOR_STREAMS:
        return 1
    # TensorFlow fixes its threads when it starts; in a process where it runs, streams still work.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(2)
    return 2


def _available_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def xla_compiles_for_cpus() -> bool:
    """Whether this build of TensorFlow includes XLA for CPUs; the TPU build does not."""
    return importlib.util.find_spec("libtpu") is None


def check_divisible(global_batch_size: int, replicas: int, name: str) -> None:
    """Checks that the replicas can divide a global batch evenly.

    Raises:
      UserError: naming the nearest sizes that divide.
    """
    if global_batch_size % replicas:
        below = global_batch_size // replicas * replicas
        nearest = " or ".join(str(size) for size in (below, below + replicas) if size)
        raise UserError(
            f"{name} must divide over {replicas} replicas: take {nearest}. "
            f"Received: {global_batch_size}"
        )


def _check(config: DistributionConfig) -> None:
    if config.strategy == "multi_worker" and not training_hosts():
        raise UserError(
            "--strategy=multi_worker reads the cluster from the environment variable TF_CONFIG, "
            'for example {"cluster": {"worker": ["host1:port", "host2:port"]}, "task": {"type": '
            f'"worker", "index": 0}}}}. Received: TF_CONFIG={os.environ.get("TF_CONFIG", "")!r}'
        )


def choose(config: DistributionConfig) -> tuple[str, str]:
    """The kind of strategy, and why; nothing is initialized.

    Raises:
      UserError: if the flags contradict each other, or TF_CONFIG is wrong.
    """
    _check(config)
    if config.strategy != "auto":
        return config.strategy, "as asked"
    if config.tpu:
        return "tpu", f"--tpu={config.tpu}"
    if len(training_hosts()) > 1:
        return "multi_worker", "TF_CONFIG names several workers"
    if tf.config.list_physical_devices("TPU"):
        return "tpu", "a TPU is here"
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus > 1:
        return "mirrored", f"{gpus} GPUs are here"
    if gpus:
        return "gpu", "one GPU is here"
    if config.virtual_devices > 1:
        return "mirrored", f"--virtual_devices={config.virtual_devices}"
    return "cpu", "no TPU or GPU is here"


def _uses_gpu(kind: str) -> bool:
    return kind != "cpu" and bool(tf.config.list_physical_devices("GPU"))


def _split_devices(count: int, device_type: str) -> None:
    device = tf.config.list_physical_devices(device_type)[0]
    # A slice of a GPU needs a memory bound, MiB; the CPU's are only names.
    memory = 2048 if device_type == "GPU" else None
    slices = [tf.config.LogicalDeviceConfiguration(memory_limit=memory) for _ in range(count)]
    try:
        tf.config.set_logical_device_configuration(device, slices)
    except RuntimeError:
        # Once TensorFlow runs its devices are fixed: fine where they are as asked for.
        if len(tf.config.list_logical_devices(device_type)) != count:
            raise


def _cpu(config: DistributionConfig) -> tf.distribute.Strategy:
    del config
    return tf.distribute.OneDeviceStrategy("/cpu:0")


def _gpu(config: DistributionConfig) -> tf.distribute.Strategy:
    del config
    if not tf.config.list_physical_devices("GPU"):
        raise UserError(
            "no GPU is visible to TensorFlow; take --strategy=cpu, or install the build for GPUs "
            "with make setup ACCELERATOR=gpu. Received: --strategy=gpu"
        )
    return tf.distribute.OneDeviceStrategy("/gpu:0")


def _mirrored(config: DistributionConfig) -> tf.distribute.Strategy:
    del config
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy(
        [device.name for device in devices],
        cross_device_ops=None
        if devices[0].device_type == "GPU"
        else tf.distribute.ReductionToOneDevice(),
    )


def _multi_worker(config: DistributionConfig) -> tf.distribute.Strategy:
    del config
    return tf.distribute.MultiWorkerMirroredStrategy()


def _tpu(config: DistributionConfig) -> tf.distribute.Strategy:
    # libtpu may end the process where there is no TPU.
    tpu.find(is_required=True)
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver("local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"the TPU does not respond: {reason}. Stop any other process that uses it, or take "
            f"--strategy=cpu. Received: --strategy={config.strategy}"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


_MAKERS = {
    "cpu": _cpu,
    "gpu": _gpu,
    "mirrored": _mirrored,
    "multi_worker": _multi_worker,
    "tpu": _tpu,
}


def _precision(asked: str, device: str) -> str:
    if asked != "auto":
        return asked
    if device == "tpu":
        return "mixed_bfloat16"
    if device == "gpu":
        gpu = tf.config.list_physical_devices("GPU")[0]
        capability = tf.config.experimental.get_device_details(gpu).get("compute_capability")
        fast = capability is not None and capability >= _BFLOAT16_COMPUTE_CAPABILITY
        return "mixed_bfloat16" if fast else "float32"
    return "mixed_bfloat16" if _BFLOAT16_CPU_FLAGS & _cpu_flags() else "float32"


def _cpu_flags() -> frozenset[str]:
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line for line in file if line.startswith("flags")]
    except OSError:
        return frozenset()
    return frozenset(lines[0].split()) if lines else frozenset()
