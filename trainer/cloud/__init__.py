"""Submitting a job to another machine: settings, tables, plans of commands, and their runner.

A target's builder is a pure function from data to a `plan.Plan` of command lines; `--dry_run`
prints it, the runner executes it. gcloud and docker do the work, so every step is something a
user can paste. Nothing here imports TensorFlow.
"""
