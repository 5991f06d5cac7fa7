"""Augmentation of image batches, a pure function of (seed, place in the training sequence).

A resumed run, another number of devices or another batch size sees the same images. To add an
augmentation: a section in `trainer.config.augment`, a function, and its row in `registry`.
"""
