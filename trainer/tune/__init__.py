"""Searching for settings: trials are training jobs in processes and directories of their own.

`space` is what a search file is made of, `check` holds it against an experiment, `oracle`
chooses with KerasTuner, `study` is the search's state on disk, `process` and `worker` run
trials, `cluster` and `protocol` share a search between hosts, `report` shows it.
"""
