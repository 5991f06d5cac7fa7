"""The founding document's Keras CNN on CIFAR-10: one convolution, Adam, 10 epochs.

    trainer train --config=configs/cifar10_keras_cnn.py --workdir=runs/keras_cnn --data_dir=DIR

DIR contains CIFAR-10 as prepared by TensorFlow Datasets. Test accuracy 0.633 (seed 0); 59 seconds
of training on two CPU cores, 4.2 milliseconds per update of 32 examples. The images had been
compressed as JPEG once, which costs a few tenths of a percentage point. PyTorch reaches 0.627 on
the same images, with the same initialization (`benchmarks/accuracy.py`, seed 0).
"""

from trainer.config import TFDS, Adam, KerasCNN, Supervised, Train


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        data=TFDS(name="cifar10", validation_fraction=0.1),
        model=KerasCNN(),
        optimizer=Adam(learning_rate=1e-3),
        train=Train(epochs=10, global_batch_size=32),
    )
