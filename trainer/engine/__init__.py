"""What drives any run: loop, runner, checkpoints, work directory, distribution, preemption."""
