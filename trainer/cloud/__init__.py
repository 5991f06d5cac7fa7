"""Runs jobs on other machines.

A target that rents machines returns `target.Machines`: command lines, and what their output means.
`controller.Controller` drives a job with them. Other targets return a `target.LocalPlan`, which
`local.run` executes. To add a target, write a module that defines a `target.Target` and add it to
`targets.TARGETS`; a vendor has a folder of its own. Nothing here imports TensorFlow.
"""
