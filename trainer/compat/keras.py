"""Sole import point for TensorFlow and tf_keras.

All other modules use `from trainer.compat.keras import keras, tf`. Decision
docs/decisions/0001-tf-keras.md explains why Keras is tf_keras.
"""

import logging
import os
import sys

import absl.logging

from trainer.compat import tpu
from trainer.compat.import_silence import quiet_libraries
from trainer.errors import UserError


def _refuse_another_keras() -> None:
    loaded = sys.modules.get("keras")
    if loaded is not None and os.environ.get("TF_USE_LEGACY_KERAS") != "1":
        raise ImportError(
            "trainer needs Keras 2 (tf_keras), but this process has loaded "
            f"keras {getattr(loaded, '__version__', '?')}. Import trainer.compat.keras "
            "before keras, or set TF_USE_LEGACY_KERAS=1 before starting Python."
        )


_refuse_another_keras()
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# TensorFlow turns oneDNN on for processors with AVX512 VNNI and later only. With AVX2, networks
# train 1.5 to 5 times faster with it (docs/LOG.md, 2026-11-28).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

try:
    with quiet_libraries():
        import tensorflow as tf
        import tf_keras as keras

        # The first query of the devices prints the messages of their drivers.
        tf.config.list_physical_devices()
except Exception as error:
    if not tpu.is_plugin_requested(os.environ):
        raise
    # TensorFlow loads the plug-in while it is imported.
    _reason = (str(error).splitlines() or [type(error).__name__])[0]
    raise UserError(
        "TensorFlow cannot initialize the TPU; end other processes that use it, or restart the "
        f"machine. Received: {_reason}"
    ) from error

tf.get_logger().setLevel(logging.ERROR)
absl.logging.set_verbosity(absl.logging.ERROR)
tf.autograph.set_verbosity(0)

__all__ = ["keras", "tf"]
