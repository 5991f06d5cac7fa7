"""Experience: n-step transitions and replay."""
