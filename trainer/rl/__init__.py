"""Reinforcement learning: environments, agents, experience and the task that trains them."""
