"""`make bench`: runs the sides of each comparison in turns; prints the ratios of their speeds."""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from settings import SETTINGS

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"


class Side(NamedTuple):
    """One contender: its command, and the steps per turn."""

    command: list[str]
    steps: int


class Comparison(NamedTuple):
    """Sides that do the same work; `bar` is the target ratio to the fastest peer."""

    title: str
    ours: Side
    peers: dict[str, Side]
    bar: float


def comparisons() -> dict[str, Comparison]:
    """All comparisons by name."""

    def ours(name: str, steps: int) -> Side:
        return Side([sys.executable, str(HERE / "ours.py"), name], steps)

    def stable_baselines3(name: str, environments: int, threads: int) -> Side:
        setting = json.dumps(SETTINGS[name].peer(environments, threads))
        return Side([str(PEERS), str(HERE / "stable_baselines3_dqn.py"), setting], 2_048)

    return {
        "half": Comparison(
            "CartPole-v1, 256-256, batch 64, half an update per step",
            ours("half", 8_192),
            {
                f"Stable-Baselines3, {environments} environments, {threads} threads": (
                    stable_baselines3("half", environments, threads)
                )
                for environments in (1, 8)
                for threads in (1, 2)
            },
            6.0,
        ),
        "tutorial": Comparison(
            "CartPole-v1, network 100, batch 64, one update per step",
            ours("tutorial", 8_192),
            {
                "TF-Agents' tutorial loop": Side(
                    [sys.executable, str(HERE / "tf_agents_tutorial.py")], 500
                )
            },
            8.0,
        ),
        "gymnasium": Comparison(
            "Gymnasium's CartPole-v1, 256-256, batch 64, half an update per step, 8 environments",
            ours("gymnasium", 4_096),
            {
                f"Stable-Baselines3, {threads} threads": stable_baselines3("gymnasium", 8, threads)
                for threads in (1, 2)
            },
            1.0,
        ),
    }


def measure(comparison: Comparison, turns: int) -> None:
    """Runs all sides in turns and prints steps per second, and ours over each peer's."""
    sides = {"ours": comparison.ours, **comparison.peers}
    processes = {name: _start(side.command) for name, side in sides.items()}
    for name, side in sides.items():
        _turn(processes[name], side.steps)  # compiles, fills the replay
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, side in sides.items():
            rates[name].append(side.steps / _turn(processes[name], side.steps))
    for process in processes.values():
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()
    print(f"{comparison.title}: environment steps/s, median (least–most) of {turns} turns")
    print(f"  ours: {_spread(rates['ours'])}; at least {comparison.bar:g} times a peer is aimed at")
    for name in comparison.peers:
        ratios = [ours / peer for ours, peer in zip(rates["ours"], rates[name], strict=True)]
        print(f"  {name}: {_spread(rates[name])}; ratio {_spread(ratios, '.2f')}", flush=True)


def _start(command: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def _turn(process: "subprocess.Popen[str]", steps: int) -> float:
    process.stdin.write(f"{steps}\n")  # type: ignore[union-attr]
    process.stdin.flush()  # type: ignore[union-attr]
    answer = process.stdout.readline()  # type: ignore[union-attr]
    if not answer:
        raise SystemExit(f"a contender failed; run it by hand: {process.args}")
    return float(json.loads(answer)["seconds"])


def _spread(values: Sequence[float], form: str = ",.0f") -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}}–{high:{form}})"


def main() -> None:
    """Measures the comparisons named, or all."""
    every = comparisons()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *every], help="default: all")
    parser.add_argument("--turns", type=int, default=7)
    arguments = parser.parse_args()
    for name in arguments.names or every:
        measure(every[name], arguments.turns)


if __name__ == "__main__":
    main()
