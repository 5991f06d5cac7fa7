"""Vectorized environments.

`registry.make` creates the `vector.VectorEnvironment` of an `environment` section: one written in
TensorFlow, which runs inside the compiled step, or a batch of Gymnasium environments. To add one
in TensorFlow: a subclass of `base.Environment` and a row in `registry.IN_GRAPH`.
"""
