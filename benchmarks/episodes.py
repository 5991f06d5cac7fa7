"""Time of 100,000 episodes of CartPole-v1 with learning: the founding document's table.

Its Q-learning took 132.8 s and ended at a reward of 274.
"""

import argparse
import time

from trainer.config import (
    DQN,
    MLP,
    Adam,
    Environment,
    EpsilonGreedy,
    LinearSchedule,
    ReinforcementLearning,
    TrainRL,
    UniformReplay,
)
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.rl.task import ReinforcementLearningTask

EPISODES = 100_000
LAST = 1_000
# More than the steps that the episodes take: the learning rate does not reach 0.
_STEPS_OF_SCHEDULE = 45_000_000


def config(seed: int) -> ReinforcementLearning:
    """Many environments, a small network, and few updates per environment step."""
    return ReinforcementLearning(
        seed=seed,
        environment=Environment(name="CartPole-v1"),
        model=MLP(units=(64, 64)),
        agent=DQN(
            double=True,
            n_step=5,
            target_update_period=200,
            exploration=EpsilonGreedy(
                epsilon_initial=1.0, epsilon_final=0.0, epsilon_decay_steps=1_000_000
            ),
            replay=UniformReplay(capacity=20_000_000, min_size=20_000),
        ),
        optimizer=Adam(learning_rate=5e-4, schedule=LinearSchedule(), epsilon=1e-2, clip_norm=10.0),
        train=TrainRL(
            steps=_STEPS_OF_SCHEDULE,
            num_envs=512,
            collect_steps=4,
            gradient_steps=8,
            global_batch_size=256,
        ),
    )


def main() -> None:
    """Trains until the episodes are done; prints the time and the last episodes' mean return."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.perf_counter()
    runtime = distribution.create(DistributionConfig(strategy="cpu", precision="float32"))
    task = ReinforcementLearningTask(config(arguments.seed), runtime)
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
                f"{seconds:6.1f} s  {iterations * task.steps_per_iteration:>11,} steps  "
                f"{episodes:>7,} episodes  return {windows[-1][1]:6.1f}  "
                f"epsilon {figures['epsilon']:.3f}",
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
