"""`make bench`: each comparison's sides in turns, in one run; ratios of their speeds."""

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
    """One contender: its command, and the steps of one of its turns."""

    command: list[str]
    steps: int


class Comparison(NamedTuple):
    """Two sides that do the same; `bar` is the ratio that was aimed at."""

    title: str
    ours: Side
    peer: Side
    bar: float


def comparisons() -> dict[str, Comparison]:
    """All of them, by name."""

    def ours(name: str, steps: int) -> Side:
        return Side([sys.executable, str(HERE / "ours.py"), name], steps)

    def stable_baselines3(name: str, environments: int, steps: int) -> Side:
        setting = json.dumps(SETTINGS[name].peer(environments))
        return Side([str(PEERS), str(HERE / "stable_baselines3_dqn.py"), setting], steps)

    tutorial = Side([sys.executable, str(HERE / "tf_agents_tutorial.py")], 500)
    return {
        "half": Comparison(
            "256-256, batch 64, half an update a step; Stable-Baselines3, 1 environment",
            ours("half", 8_192),
            stable_baselines3("half", 1, 2_048),
            6.0,
        ),
        "half-8": Comparison(
            "the same; Stable-Baselines3, 8 environments",
            ours("half", 8_192),
            stable_baselines3("half", 8, 2_048),
            6.0,
        ),
        "tutorial": Comparison(
            "network 100, batch 64, one update a step; TF-Agents' tutorial loop",
            ours("tutorial", 8_192),
            tutorial,
            8.0,
        ),
        "gymnasium": Comparison(
            "Gymnasium's CartPole, 256-256, batch 64, half an update a step, 8 environments; "
            "Stable-Baselines3",
            ours("gymnasium", 4_096),
            stable_baselines3("gymnasium", 8, 2_048),
            1.0,
        ),
    }


def measure(comparison: Comparison, turns: int) -> None:
    """Runs both sides in turns and prints steps a second and their ratios."""
    sides = (comparison.ours, comparison.peer)
    processes = [_start(side.command) for side in sides]
    for process, side in zip(processes, sides, strict=True):
        _turn(process, side.steps)  # compiles, fills the replay
    rates: list[list[float]] = [[], []]
    for _ in range(turns):
        for process, side, own in zip(processes, sides, rates, strict=True):
            own.append(side.steps / _turn(process, side.steps))
    for process in processes:
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()
    ratios = [ours / peer for ours, peer in zip(*rates, strict=True)]
    print(comparison.title)
    print(f"  ours {_spread(rates[0])}   peer {_spread(rates[1])}   environment steps/s")
    print(f"  ratio {_spread(ratios, '.2f')}   bar {comparison.bar:g}", flush=True)


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
