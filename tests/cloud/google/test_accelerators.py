import pytest

from trainer.cloud.google.accelerators import AS_OF, TPU, GPUs, gpus, tpu
from trainer.errors import UserError


@pytest.mark.parametrize(
    ("name", "hosts", "runtime"),
    [
        ("v2-8", 1, "tpu-ubuntu2204-base"),
        ("v3-8", 1, "tpu-ubuntu2204-base"),
        ("v4-8", 1, "tpu-ubuntu2204-base"),
        ("v5litepod-1", 1, "v2-alpha-tpuv5-lite"),
        ("v5litepod-8", 1, "v2-alpha-tpuv5-lite"),
        ("v5p-8", 1, "v2-alpha-tpuv5"),
        ("v6e-4", 1, "v2-alpha-tpuv6e"),
        ("v6e-8", 1, "v2-alpha-tpuv6e"),
    ],
)
def test_slices_with_one_host(name, hosts, runtime):
    assert tpu(name) == TPU(name, hosts, runtime) == tpu(name, runtime)


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        ("v2-32", 4),
        ("v3-256", 32),
        ("v4-16", 2),
        ("v5litepod-16", 4),
        ("v5p-128", 16),
        ("v6e-64", 16),
    ],
)
def test_pod_slices_need_a_pod_runtime_version(name, hosts):
    runtime = "tpu-vm-tf-2.20.0-pod-pjrt"
    assert tpu(name, runtime) == TPU(name, hosts, runtime)
    for other in ("", "tpu-ubuntu2204-base", "tpu-vm-tf-2.20.0"):
        with pytest.raises(UserError, match=f"pod slice of {hosts} hosts"):
            tpu(name, other)


@pytest.mark.parametrize(
    ("accelerator", "machine", "expected"),
    [
        ("nvidia-l4", "", GPUs("nvidia-l4", 1, "g2-standard-8")),
        ("nvidia-l4:2", "", GPUs("nvidia-l4", 2, "g2-standard-24")),
        ("nvidia-l4", "g2-standard-96", GPUs("nvidia-l4", 8, "g2-standard-96")),
        ("nvidia-tesla-t4:4", "", GPUs("nvidia-tesla-t4", 4, "n1-standard-32")),
        ("nvidia-tesla-a100", "", GPUs("nvidia-tesla-a100", 1, "a2-highgpu-1g")),
        ("nvidia-h100-80gb:8", "", GPUs("nvidia-h100-80gb", 8, "a3-highgpu-8g")),
    ],
)
def test_gpus_determine_the_machine_type(accelerator, machine, expected):
    assert gpus(accelerator, machine) == expected


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        (tpu, ("v4-9",), "Did you mean 'v4-"),
        (tpu, ("v5e-8",), "v5e is v5litepod"),
        (tpu, ("v5litepod",), "Did you mean 'v5litepod-"),
        (tpu, ("",), "Known: v2, v3"),
        (tpu, ("v4-8", "tpu-ubuntu2204-bsae"), "Did you mean 'tpu-ubuntu2204-base'?"),
        (tpu, ("v6e-8", "v2-alpha-tpuv5"), "Did you mean 'v2-alpha-tpuv6e'?"),
        (gpus, ("nvidia-a100",), "Did you mean 'nvidia-"),
        (gpus, ("nvidia-l4", "n1-standard-8"), "Did you mean 'g2-standard-8'?"),
        (gpus, ("nvidia-l4:3",), "1 or 2 or 4 or 8 GPUs"),
        (gpus, ("nvidia-l4:2", "g2-standard-8"), "g2-standard-8 has 1 GPUs"),
        (gpus, ("nvidia-l4:",), " has "),
    ],
)
def test_unknown_types_are_refused_with_the_date_of_the_table(function, arguments, expected):
    with pytest.raises(UserError) as raised:
        function(*arguments)
    message = str(raised.value)
    assert expected in message
    assert AS_OF in message
    assert "Received: " in message
    assert "\n" not in message
