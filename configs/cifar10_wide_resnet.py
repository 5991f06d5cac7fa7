"""WRN-16-8 on CIFAR-10 as in Zagoruyko and Komodakis (2016): 200 epochs, SGD, crop and flip.

    trainer train --config=configs/cifar10_wide_resnet.py --workdir=runs/wrn --data_dir=DIR

DIR contains CIFAR-10 as prepared by TensorFlow Datasets. The learning rate drops at epochs 60, 120
and 160 of 200. The boundaries are shares of the run, so `--config.train.epochs=20` is a shorter run
of the same form. `--config.model.depth=28 --config.model.width=10` is WRN-28-10.

Published: accuracy 95.73 % (Zagoruyko and Komodakis, 2016, arXiv:1605.07146v4, table 5) and 96.00 %
with WRN-28-10, trained on all 50,000 images; `--config.data.validation_fraction=0` does that.
Not yet trained to the end here. It is meant for an accelerator: two CPU cores would take
about two weeks (350 hours), estimated from its 9 GFLOP per image.
"""

from trainer.config import (
    SGD,
    TFDS,
    Evaluate,
    RandomCrop,
    RandomFlip,
    StepSchedule,
    Supervised,
    Train,
    WideResNet,
)


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        data=TFDS(name="cifar10", validation_fraction=0.05, normalize="standard"),
        augment=(RandomCrop(padding=4, mode="reflect"), RandomFlip()),
        model=WideResNet(depth=16, width=8),
        optimizer=SGD(
            learning_rate=0.1,
            momentum=0.9,
            nesterov=True,
            weight_decay=5e-4,
            schedule=StepSchedule(boundaries=("30 %", "60 %", "80 %"), factor=0.2),
        ),
        train=Train(epochs=200, global_batch_size=128),
        evaluate=Evaluate(
            checkpoint="last", reference="accuracy 0.9573 (Zagoruyko and Komodakis, 2016)"
        ),
    )
