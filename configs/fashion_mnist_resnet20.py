"""ResNet-20 on Fashion-MNIST in 10 epochs.

    sudo apt install dataset-fashion-mnist
    trainer train --config=configs/fashion_mnist_resnet20.py --workdir=runs/fashion

Debian's package has the four files in the directory below. Elsewhere, use the set as prepared by
TensorFlow Datasets in DIR:

    trainer train --config=configs/fashion_mnist_resnet20.py --workdir=runs/fashion \
        --config.data.kind=tfds --config.data.name=fashion_mnist --data_dir=DIR

Published: accuracy 94.9 % with ResNet-18, which is 40 times larger, in the list of
github.com/zalandoresearch/fashion-mnist. Not yet trained to the end here; about 20 minutes on two
CPU cores, estimated.
"""

from trainer.config import (
    IDX,
    SGD,
    Evaluate,
    OneCycleSchedule,
    RandomCrop,
    RandomFlip,
    ResNet,
    Supervised,
    Train,
)

CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        data=IDX(
            path="/usr/share/datasets/fashion-mnist",
            class_names=CLASSES,
            validation_fraction=0.05,
            normalize="standard",
        ),
        augment=(RandomCrop(padding=2), RandomFlip()),
        model=ResNet(depth=20),
        optimizer=SGD(
            learning_rate=0.2,
            momentum=0.9,
            nesterov=True,
            weight_decay=5e-4,
            schedule=OneCycleSchedule(),
        ),
        # On two CPU cores, the two groups of a batch are computed side by side.
        train=Train(epochs=10, global_batch_size=128, batch_norm_group=64),
        # The learning rate decays to 0, so the last weights have converged.
        evaluate=Evaluate(checkpoint="last"),
    )
