"""Data sets: sources, splits, normalization, augmentation and input pipelines."""
