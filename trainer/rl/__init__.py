"""Reinforcement learning: environments, agents, replay and the task that trains them."""
