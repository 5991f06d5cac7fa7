"""The one door to KerasTuner, which loads Keras 3 and with it TensorFlow.

Nothing of either is used here. A process that loads libtpu may take the TPU, which belongs to
the trials; TensorFlow asks this variable whether to load it.
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
# A trial's process is to load it.
if _given is None:
    del os.environ[_VARIABLE]
else:
    os.environ[_VARIABLE] = _given

__all__ = ["Trial", "keras_tuner", "protos"]
