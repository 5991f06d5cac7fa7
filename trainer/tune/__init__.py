"""Hyperparameter search. Each trial is a training job in its own process and directory.

`space` defines a search file and `validation` checks it against an experiment. `oracle` proposes
trials with KerasTuner, `layout` and `study` keep the state of the search on disk, `trial_process`
and `worker` run trials, `role` and `protocol` distribute a search over hosts, `search` runs it,
and `report` writes the HTML report.
"""
