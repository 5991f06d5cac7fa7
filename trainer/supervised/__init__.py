"""Supervised experiments: data, the classification task, training, evaluation."""
