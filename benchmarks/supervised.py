"""`make bench WHAT=supervised`: speed of supervised training against PyTorch and Keras.

For each network a short survey finds the fastest mode of each peer; then `trainer train`, the
peers and the machine's roof are measured in turns. docs/BENCHMARKS.md explains the output.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import machine
import roof
from experiments import experiment
from networks import BATCH_SIZE, NETWORKS, TITLES, operations
from turns import (
    HERE,
    PEERS,
    Contender,
    ContenderError,
    Measure,
    Side,
    rate,
    ratios,
    spread,
    take_turns,
)

from trainer.config import loading

OUTPUT = HERE.parent / "build" / "bench" / "supervised.json"
OURS = "ours"
AUGMENTED = "ours, augmented"
# Of the seconds of a turn.
_SHARE_OF_SURVEY = 0.2
_SHARE_OF_ROOF = 0.1


class Mode(NamedTuple):
    """A way in which a peer trains; `options` begin with the precision."""

    library: str
    options: tuple[str, ...]
    threads: int = 0

    @property
    def precision(self) -> str:
        """The roof that the mode is compared with."""
        return self.options[0].removeprefix("mixed_")

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s' * (self.threads > 1)}" if self.threads else ""
        return f"{self.library} {' '.join(self.options)}{threads}"

    def command(self, network: str) -> list[str]:
        """The process that trains in this mode."""
        if self.library == "PyTorch":
            script = str(HERE / "torch_training.py")
            return [str(PEERS), script, network, str(self.threads), *self.options]
        return [sys.executable, str(HERE / "keras_training.py"), network, *self.options]


def thread_counts(cores: int) -> list[int]:
    """The powers of two below the number of cores, and that number."""
    return [2**power for power in range(cores.bit_length()) if 2**power < cores] + [cores]


def eager_modes() -> Iterator[Mode]:
    """PyTorch's modes without the compiler."""
    for precision in ("float32", "bfloat16"):
        for layout in ((), ("channels_last",)):
            for threads in thread_counts(machine.cores()):
                yield Mode("PyTorch", (precision, *layout), threads)


def keras_modes() -> Iterator[Mode]:
    """Keras' modes, all of them on all cores."""
    for precision in ("float32", "mixed_bfloat16"):
        for xla in ((), ("no_xla",)):
            yield Mode("Keras", (precision, *xla))


def survey(network: str, modes: Iterator[Mode], seconds: float) -> dict[Mode, float | str]:
    """Examples per second of each mode, or why it is not available."""
    found: dict[Mode, float | str] = {}
    for mode in modes:
        found[mode] = _examples_per_second(network, mode, seconds)
        value = found[mode]
        if isinstance(value, float):
            print(f"  {value:>9,.0f}  {mode}", flush=True)
        else:
            print(f"  {'–':>9}  {mode}: not available, {value}", flush=True)
    return found


def _examples_per_second(network: str, mode: Mode, seconds: float) -> float | str:
    if mode.precision == "bfloat16" and not machine.multiplies_bfloat16():
        return "no bfloat16 here"
    try:
        with Contender(mode.command(network)) as contender:
            return BATCH_SIZE * rate(contender.measure, seconds)
    except ContenderError as error:
        return str(error)


def fastest(found: Mapping[Mode, float | str]) -> Mode:
    """The fastest available mode."""
    rates = {mode: value for mode, value in found.items() if isinstance(value, float)}
    if not rates:
        raise SystemExit(f"no mode is available: {found}")
    return max(rates, key=rates.__getitem__)


def trainer(network: str, augmented: bool = False) -> Measure:
    """Our side: each call is a run of `trainer train`, whose result has the speed."""

    def measure(updates: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            config, workdir = Path(folder, "config.json"), Path(folder, "run")
            # The first update, which compiles, does not count.
            config.write_text(loading.to_json(experiment(network, updates + 1, augmented)))
            flags = [f"--config={config}", f"--workdir={workdir}", "--strategy=cpu"]
            done = subprocess.run(
                [sys.executable, "-m", "trainer", "train", *flags],
                cwd=HERE.parent,
                env={**os.environ, "PYTHONPATH": str(HERE)},
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise ContenderError(f"trainer train failed:\n{done.stderr}")
            result = json.loads((workdir / "result.json").read_text())
        return updates * BATCH_SIZE / float(result["throughput"]["examples_per_second"])

    return measure


def compare(network: str, turns: int, seconds: float) -> dict[str, Any]:
    """Surveys the modes of the peers, then measures all sides in turns; returns the record."""
    print(f"{TITLES[network]}\n survey, examples/s")
    found = survey(network, eager_modes(), _SHARE_OF_SURVEY * seconds)
    eager = fastest(found)
    compiled = eager._replace(options=(*eager.options, "compile"))
    found |= survey(network, iter([compiled]), _SHARE_OF_SURVEY * seconds)
    peers = {"PyTorch": fastest(found)}
    keras = survey(network, keras_modes(), _SHARE_OF_SURVEY * seconds)
    found |= keras
    peers["Keras"] = fastest(keras)
    updates = {
        name: max(1, round(seconds * float(found[mode]) / BATCH_SIZE))
        for name, mode in peers.items()
    }
    sides = {OURS: Side(trainer(network), max(updates.values()))}
    if network == "resnet20":
        sides[AUGMENTED] = Side(trainer(network, augmented=True), sides[OURS].amount)
    precisions = {"float32", *(["bfloat16"] if machine.multiplies_bfloat16() else [])}
    with contextlib.ExitStack() as stack:
        for name, mode in peers.items():
            contender = stack.enter_context(Contender(mode.command(network)))
            contender.measure(1)  # compiles
            sides[name] = Side(contender.measure, updates[name])
        for name in sorted({*precisions, "copy"}):
            command = [str(PEERS), str(HERE / "roof.py"), name]
            contender = stack.enter_context(Contender(command))
            turn = _SHARE_OF_ROOF * seconds
            amount = max(1, round(turn * rate(contender.measure, turn)))
            sides[name] = Side(contender.measure, amount)
        rates = take_turns(sides, turns)
    ours = "bfloat16" if machine.multiplies_bfloat16() else "float32"
    return {
        "operations_per_example": operations(NETWORKS[network]),
        "survey": {str(mode): value for mode, value in found.items()},
        "precision": {
            name: peers[name].precision if name in peers else ours
            for name in sides
            if name not in roof.WORK
        },
        "mode": {name: str(mode) for name, mode in peers.items()},
        "examples_per_second": {
            name: [BATCH_SIZE * value for value in values]
            for name, values in rates.items()
            if name not in roof.WORK
        },
        "roof_per_second": {
            name: [roof.WORK[name] * value for value in rates[name]]
            for name in roof.WORK
            if name in rates
        },
    }


def summarize(record: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Per side and turn: the ratio to the best peer, and the share of the roof."""
    examples, roofs = record["examples_per_second"], record["roof_per_second"]
    best = max(record["mode"], key=lambda name: statistics.median(examples[name]))
    return {
        name: {
            "ratio_to_best_peer": ratios(values, examples[best]),
            "share_of_roof": ratios(
                [record["operations_per_example"] * value for value in values],
                roofs[record["precision"][name]],
            ),
        }
        for name, values in examples.items()
    }


def table(record: Mapping[str, Any]) -> str:
    """The figures of a network in at most 80 columns."""
    summary = summarize(record)
    lines = [f" {'examples/s, median (least–most)':<50}{'of best peer':>14}{'of roof':>10}"]
    for name, values in record["examples_per_second"].items():
        ratio = statistics.median(summary[name]["ratio_to_best_peer"])
        share = statistics.median(summary[name]["share_of_roof"])
        lines.append(f"  {name:<18}{spread(values):<31}{ratio:>14.2f}{share:>10.1%}")
    lines += [f"  mode: {mode}" for mode in record["mode"].values()]
    units = {"copy": "GB/s"}
    lines += [
        f"  roof, {name}: {spread([value / 1e9 for value in values], '.1f')} "
        f"{units.get(name, 'GFLOP/s')}"
        for name, values in record["roof_per_second"].items()
    ]
    millions = record["operations_per_example"] / 1e6
    return "\n".join([*lines, f"  an update has {millions:.1f} MFLOP per example"])


def run(names: Sequence[str], turns: int, seconds: float, output: Path) -> None:
    """Compares networks, prints the tables and writes the records."""
    if not PEERS.exists():
        raise SystemExit(f"{PEERS} does not exist; run `make bench`, which installs PyTorch there")
    report: dict[str, Any] = {
        **machine.describe(),
        "turns": turns,
        "seconds": seconds,
        "batch_size": BATCH_SIZE,
        "networks": {},
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        record = compare(name, turns, seconds)
        report["networks"][name] = {**record, "summary": summarize(record)}
        print(table(record), flush=True)
        output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"all figures are in {output}")


def main() -> None:
    """Measures the networks named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=[*NETWORKS], default=[*NETWORKS])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=12.0, help="of each side per turn")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="file of all figures")
    arguments = parser.parse_args()
    run(arguments.networks, arguments.turns, arguments.seconds, arguments.output)


if __name__ == "__main__":
    main()
