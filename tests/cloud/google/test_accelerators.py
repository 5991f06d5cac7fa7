import pytest

from trainer.cloud.google.accelerators import GPUS_AS_OF, TPU, TPUS_AS_OF, GPUs, gpus, tpu
from trainer.errors import UserError


@pytest.mark.parametrize(
    ("name", "runtime", "api"),
    [
        ("v2-8", "tpu-ubuntu2204-base", "classic"),
        ("v3-8", "tpu-ubuntu2204-base", "classic"),
        ("v4-8", "tpu-ubuntu2204-base", "classic"),
        ("v5litepod-1", "v2-alpha-tpuv5-lite", "pjrt"),
        ("v5litepod-8", "v2-alpha-tpuv5-lite", "pjrt"),
        ("v5p-8", "v2-alpha-tpuv5", "pjrt"),
        ("v6e-4", "v2-alpha-tpuv6e", "pjrt"),
        ("v6e-8", "v2-alpha-tpuv6e", "pjrt"),
    ],
)
def test_known_tpus(name, runtime, api):
    assert tpu(name) == TPU(name, 1, runtime, api) == tpu(name, runtime)


@pytest.mark.parametrize(
    ("name", "runtime"),
    [
        ("v3-8", "tpu-vm-tf-2.16.1-se"),
        ("v5litepod-8", "tpu-vm-tf-2.16.1-pjrt"),
        ("v6e-8", "tpu-vm-tf-2.18.0-pjrt-v5e-and-v6"),
    ],
)
def test_versions_with_tensorflow_are_known_where_the_api_fits(name, runtime):
    assert tpu(name, runtime).runtime_version == runtime
    assert tpu(name, runtime).warnings == ()


@pytest.mark.parametrize(
    ("arguments", "expected", "warning"),
    [
        (("v6e-8", "v2-alpha-tpuv5"), ("v2-alpha-tpuv5", "pjrt"), "runtime_version v2-alpha-tpuv5"),
        (("v6e-8", "tpu-vm-tf-2.16.1-se"), ("tpu-vm-tf-2.16.1-se", "pjrt"), "for v6e-8"),
        (("v4-8", "tpu-vm-tf-2.16.1-pod-se"), ("tpu-vm-tf-2.16.1-pod-se", "classic"), "-pod-se"),
        (("v5litepod-2",), ("v2-alpha-tpuv5-lite", "pjrt"), "TPU type v5litepod-2"),
        (("v7x-8", "v2-alpha-tpuv7"), ("v2-alpha-tpuv7", "pjrt"), "generation v7x"),
        (("tpu7x-8", "a-version"), ("a-version", "pjrt"), "generation tpu7x"),
        (("v5e-8", "v2-alpha-tpuv5-lite"), ("v2-alpha-tpuv5-lite", "pjrt"), "v5e is v5litepod"),
    ],
)
def test_what_the_table_of_tpus_does_not_know_is_a_warning(arguments, expected, warning):
    found = tpu(*arguments)
    assert (found.accelerator_type, found.hosts) == (arguments[0], 1)
    assert (found.runtime_version, found.api) == expected
    (text,) = found.warnings
    assert warning in text
    assert TPUS_AS_OF in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("accelerator", "machine", "expected"),
    [
        ("nvidia-l4", "", GPUs("nvidia-l4", 1, "g2-standard-8")),
        ("nvidia-l4:2", "", GPUs("nvidia-l4", 2, "g2-standard-24")),
        ("nvidia-l4", "g2-standard-96", GPUs("nvidia-l4", 8, "g2-standard-96")),
        ("nvidia-l4:8", "g2-standard-96", GPUs("nvidia-l4", 8, "g2-standard-96")),
        ("nvidia-tesla-t4:4", "", GPUs("nvidia-tesla-t4", 4, "n1-standard-32")),
        ("nvidia-tesla-a100", "", GPUs("nvidia-tesla-a100", 1, "a2-highgpu-1g")),
        ("nvidia-h100-80gb:8", "", GPUs("nvidia-h100-80gb", 8, "a3-highgpu-8g")),
    ],
)
def test_gpus_determine_the_machine_type(accelerator, machine, expected):
    assert gpus(accelerator, machine) == expected


@pytest.mark.parametrize(
    ("accelerator", "machine", "count"),
    [
        ("nvidia-tesla-t4", "n1-standard-4", 1),
        ("nvidia-tesla-t4:2", "n1-highmem-8", 2),
        ("nvidia-tesla-t4:2", "n1-standard-8", 2),
        ("nvidia-h200-141gb:8", "a3-ultragpu-8g", 8),
        ("nvidia-b200:8", "a4-highgpu-8g", 8),
    ],
)
def test_what_the_table_of_gpus_does_not_know_is_a_warning(accelerator, machine, count):
    found = gpus(accelerator, machine)
    kind = accelerator.partition(":")[0]
    assert (found.kind, found.count, found.machine_type) == (kind, count, machine)
    (text,) = found.warnings
    assert machine in text
    assert GPUS_AS_OF in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        (tpu, ("v5litepod-16",), "take v5litepod-8 or smaller"),
        (tpu, ("v4-16", "tpu-vm-tf-2.16.1-pod-se"), "one TPU host; several are not supported yet"),
        (tpu, ("v2-32",), "one TPU host"),
        (tpu, ("v6e-256",), "one TPU host"),
        (tpu, ("",), "for example v5litepod-8 or v6e-8"),
        (tpu, ("v5litepod",), "a generation and a size"),
        (tpu, ("v6e-0",), "a generation and a size"),
        (tpu, ("v6e-8; ls", "v2-alpha-tpuv6e"), "a generation and a size"),
        (tpu, ("v5e-8",), "v5e is v5litepod"),
        (tpu, ("v7x-8",), "set runtime_version"),
        (gpus, ("",), "for example nvidia-l4 or nvidia-l4:2"),
        (gpus, ("nvidia-l4:",), "for example nvidia-l4"),
        (gpus, ("nvidia-l4:0",), "for example nvidia-l4"),
        (gpus, ("nvidia-l4:3",), "nvidia-l4 has 1 or 2 or 4 or 8 GPUs"),
        (gpus, ("nvidia-a100",), "set machine_type"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(function, arguments, expected):
    with pytest.raises(UserError) as raised:
        function(*arguments)
    message = str(raised.value)
    assert expected in message
    assert f"Received: {arguments[0]!r}" in message
    assert "\n" not in message
