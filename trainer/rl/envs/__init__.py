"""Batches of environments that an agent acts in.

`registry.make` turns the `environment` section into a `vector.VectorEnvironment`: one
written in TensorFlow, which runs inside the compiled step, or a batch of Gymnasium
environments. To add one in TensorFlow: a `base.Environment`, filed in `registry.IN_GRAPH`.
"""
