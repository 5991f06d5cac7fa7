"""ResNet-20 on CIFAR-10 as in He et al. (2016), section 4.2: 64,000 updates, SGD, crop and flip.

    trainer train --config=configs/cifar10_resnet20.py --workdir=runs/resnet20 --data_dir=DIR

DIR contains CIFAR-10 as prepared by TensorFlow Datasets. The learning rate drops at one half and
three quarters of the run, so `--config.train.steps=8000` is a shorter run of the same form. The
other depths of the paper are `--config.model.depth=32`, 44, 56 and 110.

Published: accuracy 91.25 % (He et al., 2016, table 6); 91.7 % in a widely used reproduction
(github.com/akamaster/pytorch_resnet_cifar10). Unlike the paper, this configuration normalizes each
channel to variance 1, and applies no weight decay to biases and batch normalization.
Not yet trained to the end here; about six hours on two CPU cores, estimated.
"""

from trainer.config import (
    SGD,
    TFDS,
    Evaluate,
    RandomCrop,
    RandomFlip,
    ResNet,
    StepSchedule,
    Supervised,
    Train,
)


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        # The paper too holds out 5,000 of the 50,000 training images.
        data=TFDS(name="cifar10", validation_fraction=0.1, normalize="standard"),
        augment=(RandomCrop(padding=4), RandomFlip()),
        model=ResNet(depth=20),
        optimizer=SGD(
            learning_rate=0.1,
            momentum=0.9,
            weight_decay=1e-4,
            schedule=StepSchedule(boundaries=("50 %", "75 %"), factor=0.1),
        ),
        train=Train(steps=64_000, global_batch_size=128),
        evaluate=Evaluate(checkpoint="last", reference="accuracy 0.9125 (He et al., 2016)"),
    )
