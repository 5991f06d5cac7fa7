"""Stable-Baselines3's side: its PPO with the networks, rollouts and minibatches of ours."""

import json
import sys

import gymnasium
import torch
from contender import serve, timed
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv


def main() -> None:
    """Serves the setting that the first argument describes in JSON."""
    setting = json.loads(sys.argv[1])
    torch.set_num_threads(setting["threads"])
    environments = DummyVecEnv([lambda: gymnasium.make("CartPole-v1")] * setting["environments"])
    model = PPO(
        "MlpPolicy",
        environments,
        learning_rate=setting["learning_rate"],
        n_steps=setting["collect_steps"],
        batch_size=setting["batch_size"],
        n_epochs=setting["epochs"],
        max_grad_norm=setting["clip_norm"],
        policy_kwargs={"net_arch": setting["units"]},
        device="cpu",
    )
    serve(timed(lambda steps: model.learn(steps, reset_num_timesteps=False)))


if __name__ == "__main__":
    main()
