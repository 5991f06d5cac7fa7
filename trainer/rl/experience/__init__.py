"""Experience: n-step transitions, replay and advantages."""
