"""Prices of Google Cloud machines, for an estimate before something is created.

US dollars per hour in us-central1 (TPU v4: us-central2), without disks, network and taxes. Other
regions differ. Spot prices change as often as daily.

* `_MACHINES`: Google's price list of accelerator-optimized machines, as others read it on
  2026-09-19. The sizes of G2 that they left out are computed, because G2 consists of vCPUs with
  4 GB each and of GPUs, with one price each. Spot prices of that day are 60 % of the others.
* `_N1`, `_N1_GPUS`, `_TPU_CHIPS`: SkyPilot's catalog of 2026 (catalogs/v8/gcp/vms.csv), which is
  generated from Google's Cloud Billing Catalog.

None of them was compared with a bill.
"""

import dataclasses

AS_OF = "2026-09"
SOURCES = (
    "https://cloud.google.com/products/compute/pricing/accelerator-optimized",
    "https://cloud.google.com/compute/gpus-pricing",
    "https://cloud.google.com/tpu/pricing",
    "https://cloud.google.com/spot-vms/pricing",
    "https://github.com/skypilot-org/skypilot-catalog",
)


@dataclasses.dataclass(frozen=True)
class _Price:
    """US dollars per hour; None: unknown or not sold."""

    on_demand: float | None
    spot: float | None


def _g2(vcpus: int, gpus: int) -> _Price:
    on_demand = 0.036698 * vcpus + 0.56004 * gpus
    return _Price(on_demand, 0.6 * on_demand)


# With their GPUs and local SSDs.
_MACHINES = {
    "g2-standard-4": _g2(4, 1),
    "g2-standard-8": _g2(8, 1),
    "g2-standard-12": _g2(12, 1),
    "g2-standard-16": _g2(16, 1),
    "g2-standard-32": _g2(32, 1),
    "g2-standard-24": _g2(24, 2),
    "g2-standard-48": _g2(48, 4),
    "g2-standard-96": _g2(96, 8),
    "a2-highgpu-1g": _Price(3.673385, 2.204),
    "a2-highgpu-2g": _Price(2 * 3.673385, 2 * 2.204),
    "a2-highgpu-4g": _Price(4 * 3.673385, 4 * 2.204),
    "a2-highgpu-8g": _Price(8 * 3.673385, 8 * 2.204),
    "a2-megagpu-16g": _Price(55.739504, 16 * 2.090),
    "a2-ultragpu-1g": _Price(5.06879789, 3.041),
    "a2-ultragpu-2g": _Price(2 * 5.06879789, 2 * 3.041),
    "a2-ultragpu-4g": _Price(4 * 5.06879789, 4 * 3.041),
    "a2-ultragpu-8g": _Price(40.550383, 8 * 3.041),
    # Sold as spot capacity and by Dynamic Workload Scheduler only.
    "a3-highgpu-1g": _Price(None, 6.620),
    "a3-highgpu-2g": _Price(None, 2 * 6.620),
    "a3-highgpu-4g": _Price(None, 4 * 6.620),
    "a3-highgpu-8g": _Price(88.490000, 8 * 6.620),
}
# Per vCPU of n1-standard, with 3.75 GB.
_N1 = _Price(0.0474998, 0.0130575)
_N1_GPUS = {
    "nvidia-tesla-t4": _Price(0.35, 0.175),
    "nvidia-tesla-v100": _Price(2.48, 1.0885),
}
# Per chip of a slice with one host. Larger slices of v2 cost 1.50.
_TPU_CHIPS = {
    "v2": _Price(1.125, 0.3375),
    "v3": _Price(2.00, 0.51),
    "v4": _Price(3.22, 0.9215),
    "v5litepod": _Price(1.20, 0.24493),
    "v5p": _Price(4.20, 0.8357),
    "v6e": _Price(2.70, 0.54421),
}
_V2_POD = _Price(1.50, 0.3825)
# The number in a name counts cores, two per chip.
_NAMED_BY_CORES = ("v2", "v3", "v4", "v5p")


def hourly(name: str, spot: bool, gpu: str = "", gpus: int = 0) -> float | None:
    """The price of one machine or TPU slice, an estimate.

    Args:
      name: a machine type, for example `g2-standard-8`, whose price contains its GPUs, or a TPU
        type, for example `v5litepod-8`, whose price contains its hosts.
      spot: whether it is spot capacity. Its price varies.
      gpu: the GPU that is attached to an N1 machine, for example `nvidia-tesla-t4`.
      gpus: how many of them.

    Returns:
      US dollars per hour, as of `AS_OF`; None if unknown or not sold.
    """
    if name in _MACHINES:
        return _choose(_MACHINES[name], spot)
    family, _, size = name.rpartition("-")
    if not size.isdecimal():
        return None
    if family == "n1-standard":
        if gpus and gpu not in _N1_GPUS:
            return None
        attached = gpus * (_choose(_N1_GPUS[gpu], spot) or 0.0) if gpus else 0.0
        return int(size) * (_choose(_N1, spot) or 0.0) + attached
    if family not in _TPU_CHIPS:
        return None
    chips = int(size) // 2 if family in _NAMED_BY_CORES else int(size)
    price = _V2_POD if family == "v2" and chips > 4 else _TPU_CHIPS[family]
    per_chip = _choose(price, spot)
    return None if per_chip is None else chips * per_chip


def _choose(price: _Price, spot: bool) -> float | None:
    return price.spot if spot else price.on_demand


def estimate(hourly_cost: float | None, max_hours: float, max_cost: float) -> str:
    """What the machines of a job cost, in one line.

    Args:
      hourly_cost: of all machines, in US dollars; None if unknown.
      max_hours: the time limit of the job.
      max_cost: the limit of the user in US dollars; 0: none.
    """
    if hourly_cost is None:
        return f"cost: unknown (the table of {AS_OF} does not know these machines)"
    most = hourly_cost * max_hours
    limit = f"--max_hours={max_hours:g}"
    if max_cost and max_cost < most:
        most, limit = max_cost, f"--max_cost={max_cost:g}"
    return (
        f"cost: about ${hourly_cost:.2f} per hour, at most about ${most:.2f} for {limit} "
        f"(prices of {AS_OF}, without disks and traffic)"
    )
