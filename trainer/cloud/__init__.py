"""Runs jobs on other machines.

A target turns a job and its settings into a `plan.Plan`, a list of gcloud or docker command
lines. `--dry_run` prints the plan and `runner.Runner` executes it. To add a target, write a
module that defines a `target.Target` and add it to `targets.TARGETS`; a vendor has a folder of
its own. Nothing here imports TensorFlow.
"""
