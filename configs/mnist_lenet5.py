"""LeNet-5 with ReLU and max pooling on MNIST.

    trainer train --config=configs/mnist_lenet5.py --workdir=runs/lenet5 --data_dir=DIR

DIR contains MNIST as prepared by TensorFlow Datasets. Test accuracy 0.9939 and 0.9928 (seeds
0 and 7); 61 seconds of training on two CPU cores with AVX2, in float32. A run of half the length,
`--config.train.epochs=6`, reaches 0.9919.

Published: accuracy 99.05 %, and 99.2 % with distorted training images (LeCun et al., 1998).
"""

from trainer.config import (
    TFDS,
    Adam,
    Evaluate,
    LeNet5,
    OneCycleSchedule,
    RandomCrop,
    Supervised,
    Train,
)


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        data=TFDS(name="mnist", validation_fraction=0.05),
        augment=(RandomCrop(padding=2),),
        model=LeNet5(variant="relu"),
        optimizer=Adam(learning_rate=3e-3, schedule=OneCycleSchedule()),
        train=Train(epochs=12, global_batch_size=128),
        # The learning rate decays to 0, so the last weights have converged.
        evaluate=Evaluate(checkpoint="last", reference="accuracy 0.9905 (LeCun et al., 1998)"),
    )
