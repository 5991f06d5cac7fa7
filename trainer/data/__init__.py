"""Examples: sources, splits, normalization and input pipelines."""
