"""Metrics: one table that reports, best checkpoints, early stopping and searches read.

`metric` defines a row, `classification` and `agents` hold the rows, `table` finds them. To add
a metric: a row in `classification`, or `evaluate.metrics=module:attribute` for your own.
"""
