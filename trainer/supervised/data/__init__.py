"""Examples in memory: sources, splits, preprocessing, batches.

`load.load` reads what a `data` section names; `preprocessing` is shared by training and
prediction; `batches` turns a split into the endless training sequence.
"""
