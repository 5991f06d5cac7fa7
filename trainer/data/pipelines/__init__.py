"""From examples to batches in a reproducible order."""
