"""Stable-Baselines3's side: its DQN with the network, batch and updates a step of ours."""

import json
import sys

import gymnasium
import torch
from contender import serve, timed
from stable_baselines3 import DQN
from stable_baselines3.common.vec_env import DummyVecEnv


def main() -> None:
    """Serves the setting that the first argument describes in JSON."""
    setting = json.loads(sys.argv[1])
    torch.set_num_threads(setting["threads"])
    environments = DummyVecEnv([lambda: gymnasium.make("CartPole-v1")] * setting["environments"])
    model = DQN(
        "MlpPolicy",
        environments,
        learning_rate=setting["learning_rate"],
        buffer_size=setting["capacity"],
        learning_starts=setting["warmup"],
        batch_size=setting["batch_size"],
        train_freq=setting["steps"] // setting["environments"],
        gradient_steps=setting["updates"],
        target_update_interval=setting["steps"]
        * setting["target_update_period"]
        // setting["updates"],
        max_grad_norm=10.0,
        policy_kwargs={"net_arch": setting["units"]},
        device="cpu",
    )
    serve(timed(lambda steps: model.learn(steps, reset_num_timesteps=False)))


if __name__ == "__main__":
    main()
