import re

import pytest

from trainer.cloud.google import accelerators
from trainer.cloud.google.prices import AS_OF, SOURCES, hourly

# Published prices, by another way than the tables: totals of whole machines.
PUBLISHED = [
    ("g2-standard-4", "", 0, 0.7068),
    ("g2-standard-12", "", 0, 1.0004),
    ("g2-standard-48", "", 0, 4.0017),
    ("a2-highgpu-8g", "", 0, 29.3871),
    ("n1-standard-8", "", 0, 0.3800),
    ("n1-standard-8", "nvidia-tesla-t4", 1, 0.7300),
    ("n1-standard-64", "nvidia-tesla-v100", 8, 22.8800),
    ("v2-8", "", 0, 4.50),
    ("v2-32", "", 0, 24.00),
    ("v3-8", "", 0, 8.00),
    ("v4-8", "", 0, 12.88),
    ("v5litepod-8", "", 0, 9.60),
    ("v5p-8", "", 0, 16.80),
    ("v6e-8", "", 0, 21.60),
    ("v6e-256", "", 0, 691.20),
]


@pytest.mark.parametrize(("name", "gpu", "gpus", "dollars"), PUBLISHED)
def test_published_totals(name, gpu, gpus, dollars):
    assert hourly(name, False, gpu, gpus) == pytest.approx(dollars, abs=5e-5)
    assert 0 < hourly(name, True, gpu, gpus) < dollars


# These are not sold on demand.
SPOT_ONLY = {"a3-highgpu-1g", "a3-highgpu-2g", "a3-highgpu-4g"}
MACHINES = [
    (gpu, machine, count)
    for gpu, machines in accelerators._MACHINES.items()
    for machine, count in machines.items()
]


@pytest.mark.parametrize(("gpu", "machine", "count"), MACHINES)
def test_every_machine_type_has_a_price(gpu, machine, count):
    spot = hourly(machine, True, gpu, count)
    on_demand = hourly(machine, False, gpu, count)
    assert spot > 0
    if machine in SPOT_ONLY:
        assert on_demand is None
    else:
        assert 0.05 * on_demand < spot < on_demand


@pytest.mark.parametrize("family", accelerators._SLICES)
def test_every_tpu_has_a_price_that_grows_with_its_size(family):
    sizes = accelerators._SLICES[family].sizes
    for spot in (False, True):
        prices = [hourly(f"{family}-{size}", spot) for size in sizes]
        assert prices == sorted(prices)
        assert prices[0] > 0


@pytest.mark.parametrize(
    ("name", "gpu", "gpus"),
    [
        ("a4-highgpu-8g", "", 0),
        ("n1-standard-8", "nvidia-l4", 1),
        ("v7-8", "", 0),
        ("v4-", "", 0),
        ("v4", "", 0),
        ("", "", 0),
    ],
)
def test_unknown_machines_have_no_price(name, gpu, gpus):
    assert hourly(name, False, gpu, gpus) is None
    assert hourly(name, True, gpu, gpus) is None


def test_the_table_is_dated():
    assert re.fullmatch(r"20\d\d-\d\d", AS_OF)
    assert all(source.startswith("https://") for source in SOURCES)
