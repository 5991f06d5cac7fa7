"""The schema of an experiment: frozen dataclasses, checked when they are made.

`setting` declares a field with its meaning and its allowed values, `common`,
`supervised` and `rl` hold the sections, `bridge` turns an experiment into a
mapping, a file or command-line flags and back. Nothing here imports TensorFlow.
"""
