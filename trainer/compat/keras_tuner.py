"""Sole import point for KerasTuner, which loads Keras 3 and TensorFlow.

A search uses neither. A process that loads libtpu may claim the TPU, which the trials need;
TensorFlow reads TPU_LOAD_LIBRARY to decide whether to load it.
"""

import os

from trainer.compat.import_silence import quiet_imports

_VARIABLE = "TPU_LOAD_LIBRARY"
_given = os.environ.get(_VARIABLE)
os.environ[_VARIABLE] = "0"
with quiet_imports():
    import keras_tuner
    from keras_tuner.src import protos
    from keras_tuner.src.engine.trial import Trial
# The processes of trials must load it.
if _given is None:
    del os.environ[_VARIABLE]
else:
    os.environ[_VARIABLE] = _given

__all__ = ["Trial", "keras_tuner", "protos"]
