"""airbench94 with Muon (Jordan, 2024, arXiv:2404.00498) on CIFAR-10: 8 epochs to 94 %.

    trainer train --config=configs/cifar10_fast.py --workdir=runs/fast --data_dir=DIR

DIR contains CIFAR-10 as prepared by TensorFlow Datasets. An update costs 0.7 GFLOP per image, the
run of 400,000 images 280 TFLOP: hours on two CPU cores. The paper's code reports 0.940 (mean of 200
runs). This configuration has not been run to its end; its first 7 updates at a batch of 100 follow
those of a PyTorch version (docs/LOG.md). It has not run on a GPU or a TPU.

It differs from the paper's code in two points: batch normalization takes statistics over halves of
a batch, and SGD has the learning rate inside its momentum.
"""

from trainer.config import (
    TFDS,
    Airbench,
    Evaluate,
    LinearSchedule,
    Muon,
    RandomCrop,
    RandomFlip,
    Supervised,
    Train,
)

_BATCH_SIZE = 2000
# Of a loss that is the sum over the batch; ours is the mean.
_HEAD_LEARNING_RATE = 0.67
_BIAS_LEARNING_RATE = 0.053
# What an update takes off the head and the biases at these learning rates, per example.
_DECAY = 2e-6


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        data=TFDS(name="cifar10", validation_fraction=0.0, normalize="standard"),
        augment=(RandomFlip(alternating=True), RandomCrop(padding=2, mode="reflect")),
        model=Airbench(),
        optimizer=Muon(
            learning_rate=0.24,
            schedule=LinearSchedule(),
            momentum=0.6,
            normalize_weights=True,
            newton_schulz_steps=3,
            head_learning_rate=_BATCH_SIZE * _HEAD_LEARNING_RATE,
            head_weight_decay=_DECAY / _HEAD_LEARNING_RATE,
            bias_learning_rate=_BATCH_SIZE * _BIAS_LEARNING_RATE,
            bias_weight_decay=_DECAY / _BIAS_LEARNING_RATE,
            # 3 of 8 epochs.
            first_bias_duration="37.5 %",
            sgd_momentum=0.85,
        ),
        train=Train(
            epochs=8,
            global_batch_size=_BATCH_SIZE,
            # The halves of a batch are then independent, so that two cores compute them side by
            # side.
            batch_norm_group=_BATCH_SIZE // 2,
            label_smoothing=0.2,
        ),
        evaluate=Evaluate(
            checkpoint="last",
            test_time_augmentation="flip_translate",
            reference="accuracy 0.940 (Jordan, 2024)",
        ),
    )
