"""The founding document's Keras CNN on CIFAR-10: one convolution, Adam, 10 epochs.

    trainer train --config=configs/cifar10_keras_cnn.py --workdir=runs/keras_cnn --data_dir=DIR

DIR holds CIFAR-10 as TensorFlow Datasets prepares it. Test accuracy 0.633 (seed 0); 59
seconds of training on two CPU cores, 4.2 milliseconds an update of 32 examples. The images
had gone through JPEG once, which costs some tenths of a point.
"""

from trainer.config.sections import Adam, KerasCNN
from trainer.config.supervised import TFDS, Supervised, Train


def get_config() -> Supervised:
    """The experiment."""
    return Supervised(
        data=TFDS(name="cifar10", validation_fraction=0.1),
        model=KerasCNN(),
        optimizer=Adam(learning_rate=1e-3),
        train=Train(epochs=10, global_batch_size=32),
    )
