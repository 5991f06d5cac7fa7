"""The settings that both sides of a comparison share."""

import dataclasses
from typing import Any

from trainer.config import (
    DQN,
    MLP,
    PPO,
    Adam,
    Environment,
    ReinforcementLearning,
    TrainRL,
    UniformReplay,
)


@dataclasses.dataclass(frozen=True)
class PPOSetting:
    """PPO on CartPole-v1, with a policy and a value network of the same hidden layers.

    Attributes:
      units: widths of the hidden layers.
      environments: number stepped in parallel.
      collect_steps: steps of each environment per rollout.
      epochs: passes over each rollout.
      batch_size: steps per update.
      backend: where the environment runs.
    """

    units: tuple[int, ...] = (64, 64)
    environments: int = 8
    collect_steps: int = 256
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 3e-4
    clip_norm: float = 0.5
    backend: str = "auto"

    def config(self, steps: int) -> ReinforcementLearning:
        """The setting as an experiment of ours."""
        return ReinforcementLearning(
            environment=Environment(name="CartPole-v1", backend=self.backend),
            model=MLP(units=self.units, activation="tanh"),
            agent=PPO(epochs=self.epochs),
            optimizer=Adam(learning_rate=self.learning_rate, clip_norm=self.clip_norm),
            train=TrainRL(
                steps=steps,
                num_envs=self.environments,
                collect_steps=self.collect_steps,
                global_batch_size=self.batch_size,
            ),
        )

    def peer(self, environments: int, threads: int) -> dict[str, Any]:
        """The setting for a peer with this number of parallel environments and threads."""
        steps = self.environments * self.collect_steps
        return {
            **dataclasses.asdict(self),
            "environments": environments,
            "collect_steps": steps // environments,
            "threads": threads,
        }


@dataclasses.dataclass(frozen=True)
class Setting:
    """DQN on CartPole-v1.

    Attributes:
      units: widths of the network's hidden layers.
      environments: number stepped in parallel.
      collect_steps: steps of each environment before the next updates.
      updates: updates after each collection.
      batch_size: transitions per update.
      backend: where the environment runs.
    """

    units: tuple[int, ...]
    environments: int
    collect_steps: int
    updates: int
    batch_size: int = 64
    learning_rate: float = 1e-4
    capacity: int = 100_000
    warmup: int = 1_000
    target_update_period: int = 100
    clip_norm: float = 10.0
    backend: str = "auto"

    def config(self, steps: int) -> ReinforcementLearning:
        """The setting as an experiment of ours."""
        return ReinforcementLearning(
            environment=Environment(name="CartPole-v1", backend=self.backend),
            model=MLP(units=self.units),
            agent=DQN(
                target_update_period=self.target_update_period,
                replay=UniformReplay(capacity=self.capacity, min_size=self.warmup),
            ),
            optimizer=Adam(learning_rate=self.learning_rate, clip_norm=self.clip_norm),
            train=TrainRL(
                steps=steps,
                num_envs=self.environments,
                collect_steps=self.collect_steps,
                gradient_steps=self.updates,
                global_batch_size=self.batch_size,
            ),
        )

    def peer(self, environments: int, threads: int) -> dict[str, Any]:
        """The setting for a peer with this number of parallel environments and threads."""
        values = dataclasses.asdict(self)
        steps = self.environments * self.collect_steps
        return {**values, "environments": environments, "steps": steps, "threads": threads}


SETTINGS: dict[str, Setting | PPOSetting] = {
    # Stable-Baselines3's defaults with 8 environments.
    "ppo": PPOSetting(),
    # rl-zoo's cadence for CartPole: 256 steps, then 128 updates.
    "half": Setting(units=(256, 256), environments=32, collect_steps=8, updates=128),
    "tutorial": Setting(
        units=(100,), environments=8, collect_steps=4, updates=32, learning_rate=1e-3, clip_norm=0.0
    ),
    "gymnasium": Setting(
        units=(256, 256), environments=8, collect_steps=4, updates=16, backend="gymnasium"
    ),
}
