"""`make bench WHAT=agents`: speed of DQN and PPO against Stable-Baselines3 and TF-Agents' tutorial.

The sides of each comparison run in turns; the ratios of their speeds are printed.
"""

import argparse
import contextlib
import json
import sys
from typing import NamedTuple

from agent_settings import SETTINGS
from turns import HERE, PEERS, Contender, Side, ratios, spread, take_turns


class Process(NamedTuple):
    """One side: its command, and the environment steps per turn."""

    command: list[str]
    steps: int


class Comparison(NamedTuple):
    """Sides that do the same work; `bar` is the target ratio to the fastest peer."""

    title: str
    ours: Process
    peers: dict[str, Process]
    bar: float


def comparisons() -> dict[str, Comparison]:
    """All comparisons by name."""

    def ours(name: str, steps: int) -> Process:
        return Process([sys.executable, str(HERE / "trainer_agent.py"), name], steps)

    def stable_baselines3(name: str, environments: int, threads: int) -> Process:
        setting = json.dumps(SETTINGS[name].peer(environments, threads))
        script = "stable_baselines3_ppo.py" if name == "ppo" else "stable_baselines3_dqn.py"
        return Process([str(PEERS), str(HERE / script), setting], 2_048)

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
            5.8,
        ),
        "ppo": Comparison(
            "PPO, CartPole-v1, 64-64 twice, rollouts of 2,048 steps, 10 epochs, batch 64",
            ours("ppo", 16_384),
            {
                f"Stable-Baselines3, {environments} environments, {threads} threads": (
                    stable_baselines3("ppo", environments, threads)
                )
                for environments in (1, 8)
                for threads in (1, 2)
            },
            5.0,
        ),
        "tutorial": Comparison(
            "CartPole-v1, network 100, batch 64, one update per step",
            ours("tutorial", 8_192),
            {
                "TF-Agents' tutorial loop": Process(
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
    processes = {"ours": comparison.ours, **comparison.peers}
    with contextlib.ExitStack() as stack:
        sides = {
            name: Side(stack.enter_context(Contender(process.command)).measure, process.steps)
            for name, process in processes.items()
        }
        for side in sides.values():
            side.measure(side.amount)  # compiles, fills the replay
        rates = take_turns(sides, turns)
    print(f"{comparison.title}: environment steps/s, median (least–most) of {turns} turns")
    print(f"  ours: {spread(rates['ours'])}; at least {comparison.bar:g} times a peer is aimed at")
    for name in comparison.peers:
        ratio = spread(ratios(rates["ours"], rates[name]), ".2f")
        print(f"  {name}: {spread(rates[name])}; ratio {ratio}", flush=True)


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
