"""The founding document's CV ConvNet on CIFAR-10: SGD 0.001, momentum 0.9, 10 epochs.

    trainer train --config=configs/cifar10_convnet.py --workdir=runs/convnet --data_dir=DIR

DIR contains CIFAR-10 as prepared by TensorFlow Datasets. Pixels are normalized with mean 0.5 and
standard deviation 0.5; the batch size is 4. Test accuracy 0.605 (seed 0); 255 seconds of training
on two CPU cores shared with other work, 443 updates per second. The images had been compressed as
JPEG once, which costs a few tenths of a percentage point.
"""

from trainer.config import SGD, TFDS, ConvNet, Supervised, Train


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        data=TFDS(name="cifar10", validation_fraction=0.1, normalize="half"),
        model=ConvNet(),
        optimizer=SGD(learning_rate=1e-3, momentum=0.9),
        train=Train(epochs=10, global_batch_size=4),
    )
