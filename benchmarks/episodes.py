"""100,000 episodes of CartPole-v1, learning all the while: the founding document's table.

Its Q-learning took 132.8 s and ended at a reward of 274.
"""

import argparse
import time

from trainer.config.rl import DoubleDQN, Environment, ReinforcementLearning, TrainRL, Uniform
from trainer.config.sections import MLP, Adam
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.rl.task import QLearningTask

EPISODES = 100_000
LAST = 1_000
# Beyond the steps that the episodes take: the step size never falls to 0.
_STEPS_OF_SCHEDULE = 45_000_000


def config(seed: int) -> ReinforcementLearning:
    """Many environments, a small network, updates that are few for the steps they follow."""
    return ReinforcementLearning(
        seed=seed,
        environment=Environment(name="CartPole-v1"),
        model=MLP(units=(64, 64)),
        agent=DoubleDQN(
            n_step=5,
            epsilon_initial=1.0,
            epsilon_final=0.0,
            epsilon_decay_steps=1_000_000,
            target_update_period=200,
        ),
        replay=Uniform(capacity=20_000_000, warmup=20_000),
        optimizer=Adam(learning_rate=5e-4, schedule="linear", epsilon=1e-2, clip_norm=10.0),
        train=TrainRL(
            steps=_STEPS_OF_SCHEDULE,
            environments=512,
            collect_steps=4,
            updates=8,
            global_batch_size=256,
        ),
    )


def main() -> None:
    """Trains until the episodes are done; prints seconds and the last episodes' mean return."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.perf_counter()
    runtime = distribution.create(DistributionConfig(strategy="cpu", precision="float32"))
    task = QLearningTask(config(arguments.seed), runtime)
    task.start(0)
    episodes, iterations = 0, 0
    windows: list[tuple[float, float]] = []
    while episodes < EPISODES:
        task.reset_metrics()
        task.advance(50)
        iterations += 50
        figures = task.metrics()
        if figures["episodes"]:
            windows.append((figures["episodes"], figures["return_mean"]))
            episodes += int(figures["episodes"])
        if iterations % 2000 == 0:
            seconds = time.perf_counter() - started
            print(
                f"{seconds:6.1f} s  {iterations * task.stride:>11,} steps  {episodes:>7,} episodes"
                f"  return {windows[-1][1]:6.1f}  epsilon {figures['epsilon']:.3f}",
                flush=True,
            )
    seconds = time.perf_counter() - started
    count, total = 0.0, 0.0
    while count < LAST:
        number, mean = windows.pop()
        count, total = count + number, total + number * mean
    print(
        f"{episodes:,} episodes in {seconds:.1f} s, compiling included; the last {count:,.0f} "
        f"had a mean return of {total / count:.1f}"
    )


if __name__ == "__main__":
    main()
