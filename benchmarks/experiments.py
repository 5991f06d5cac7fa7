"""Our side of the supervised comparison as experiments of `trainer train`."""

from networks import BATCH_SIZE

from trainer.config import (
    SGD,
    Adam,
    ConvNet,
    Cutout,
    Evaluate,
    KerasCNN,
    RandomCrop,
    RandomFlip,
    ResNet,
    Supervised,
    Train,
)
from trainer.config.data import CustomData

_MODELS = {"convnet": ConvNet(), "keras_cnn": KerasCNN(), "resnet20": ResNet(depth=20)}
_OPTIMIZERS = {
    "convnet": SGD(learning_rate=1e-3, momentum=0.9),
    "keras_cnn": Adam(),
    "resnet20": SGD(learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
}
_BATCH_NORM_GROUP = {"resnet20": 64}


def experiment(network: str, updates: int, augmented: bool = False) -> Supervised:
    """Trains a network on random images, with one evaluation of few examples at the end.

    Args:
      network: a name of `networks.NETWORKS`.
      updates: length of the run.
      augmented: with random crops, flips and Cutout.
    """
    return Supervised(
        data=CustomData(source="random_images:load"),
        augment=(RandomCrop(), RandomFlip(), Cutout()) if augmented else (),
        model=_MODELS[network],
        optimizer=_OPTIMIZERS[network],
        train=Train(
            steps=updates,
            global_batch_size=BATCH_SIZE,
            batch_norm_group=_BATCH_NORM_GROUP.get(network, 0),
            evaluate_every=updates,
        ),
        evaluate=Evaluate(batch_size=BATCH_SIZE),
    )
