"""The side of Keras 3: `model.fit` on a tf.data pipeline.

    .venv/bin/python benchmarks/keras_training.py NETWORK POLICY [no_xla]

POLICY is float32 or mixed_bfloat16. By default, Keras compiles with XLA where it can.
"""

import os
import sys
import time

os.environ.pop("TF_USE_LEGACY_KERAS", None)
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import tensorflow as tf
from contender import serve
from keras import layers
from networks import BATCH_SIZE, CLASSES, IMAGE_SHAPE
from random_images import train_images


class Clock(keras.callbacks.Callback):
    """The seconds from the end of the first update, which fills the shuffle buffer, to the end."""

    seconds = 0.0
    _started = 0.0

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """See the base class."""
        del logs
        if batch == 0:
            self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """See the base class."""
        del epoch, logs
        self.seconds = time.perf_counter() - self._started


class PaddedShortcut(layers.Layer):
    """Every second pixel, and zeros for new channels (He et al., 2016)."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Maps `[B, H, W, C]` to `[B, H / 2, W / 2, 2 C]`."""
        return keras.ops.pad(x[:, ::2, ::2], [(0, 0), (0, 0), (0, 0), (0, x.shape[-1])])


def _convnet(x: keras.KerasTensor) -> keras.KerasTensor:
    for filters in (6, 16):
        x = layers.Conv2D(filters, 5, activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    for units in (120, 84):
        x = layers.Dense(units, activation="relu")(x)
    return x


def _keras_cnn(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Conv2D(32, 3, activation="relu")(x)
    return layers.Flatten()(layers.MaxPooling2D(2)(x))


def _convolution(x: keras.KerasTensor, filters: int, strides: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
    return layers.BatchNormalization(momentum=0.9)(x)


def _resnet20(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.ReLU()(_convolution(x, 16))
    for filters in (16, 32, 64):
        for index in range(3):
            grows = filters > 16 and index == 0
            shortcut = PaddedShortcut()(x) if grows else x
            x = layers.ReLU()(_convolution(x, filters, strides=2 if grows else 1))
            x = layers.ReLU()(layers.Add()([_convolution(x, filters), shortcut]))
    return layers.GlobalAveragePooling2D()(x)


def build(network: str, jit_compile: bool | str) -> keras.Model:
    """A compiled network."""
    inputs = keras.Input(IMAGE_SHAPE)
    body = {"convnet": _convnet, "keras_cnn": _keras_cnn, "resnet20": _resnet20}[network]
    model = keras.Model(inputs, layers.Dense(CLASSES, dtype="float32")(body(inputs)))
    optimizers = {
        "convnet": keras.optimizers.SGD(1e-3, momentum=0.9),
        "keras_cnn": keras.optimizers.Adam(),
        "resnet20": keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
    }
    model.compile(
        optimizers[network],
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=jit_compile,
    )
    return model


def dataset() -> tf.data.Dataset:
    """Endless shuffled batches."""
    features, labels = train_images()
    return (
        tf.data.Dataset.from_tensor_slices((features, labels))
        .shuffle(len(labels))
        .repeat()
        .batch(BATCH_SIZE, drop_remainder=True)
        .map(lambda x, y: (tf.cast(x, tf.float32) / 255, y), num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def main() -> None:
    """Serves the mode that the arguments describe."""
    network, policy, *options = sys.argv[1:]
    keras.config.set_dtype_policy(policy)
    model = build(network, jit_compile=False if "no_xla" in options else "auto")
    batches = dataset()

    def measure(updates: int) -> float:
        clock = Clock()
        model.fit(batches, steps_per_epoch=updates + 1, verbose=0, callbacks=[clock])
        return clock.seconds

    serve(measure)


if __name__ == "__main__":
    main()
