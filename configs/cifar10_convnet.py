"""The founding document's CV ConvNet on CIFAR-10: SGD 0.001, momentum 0.9, 10 epochs.

    trainer train --config=configs/cifar10_convnet.py --workdir=runs/convnet --data_dir=DIR

DIR holds CIFAR-10 as TensorFlow Datasets prepares it. Pixels are scaled to mean 0.5,
deviation 0.5; four examples an update. Test accuracy 0.605 (seed 0); 255 seconds of training
on two CPU cores with other work beside it, 443 updates a second. The images had gone through
JPEG once, which costs some tenths of a point.
"""

from trainer.config.sections import SGD, ConvNet
from trainer.config.supervised import TFDS, Supervised, Train


def get_config() -> Supervised:
    """The experiment."""
    return Supervised(
        data=TFDS(name="cifar10", validation_fraction=0.1, normalize="half"),
        model=ConvNet(),
        optimizer=SGD(learning_rate=1e-3, momentum=0.9),
        train=Train(epochs=10, global_batch_size=4),
    )
