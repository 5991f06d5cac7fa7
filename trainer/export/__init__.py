"""Exports: a trained network or policy in a format that other programs load."""
