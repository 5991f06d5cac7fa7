"""Metrics, each a row of one table: `table.find(name)` and `table.TABLE`.

To add one: a row in `classification`, or `evaluate.metrics=module:attribute` for your own.
"""
