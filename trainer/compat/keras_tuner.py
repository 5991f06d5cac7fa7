"""Sole import point for KerasTuner, which loads Keras 3 and TensorFlow.

A search uses neither. A process that loads libtpu may claim the TPU, which the trials need.
"""

from trainer.compat import tpu
from trainer.compat.import_silence import quiet_libraries

with tpu.not_loaded(), quiet_libraries():
    import keras_tuner
    from keras_tuner.src import protos
    from keras_tuner.src.engine.trial import Trial

__all__ = ["Trial", "keras_tuner", "protos"]
