"""The published architectures have their published number of parameters."""

import math

import pytest

from trainer.compat.keras import tf
from trainer.config import (
    CNN,
    VGG,
    Airbench,
    AlexNet,
    Applications,
    Inception,
    LeNet5,
    ResNet,
    WideResNet,
)
from trainer.models.building import build_network
from trainer.models.context import Context

IMAGENET = ((224, 224, 3), 1000)
CIFAR = ((32, 32, 3), 10)


def imagenet_vgg(depth):
    return VGG(depth=depth, variant="imagenet", batch_norm=False)


def imagenet_resnet(depth):
    return ResNet(depth=depth, variant="imagenet")


# The network of DQN (Mnih et al., 2015).
NATURE = CNN(
    filters=(32, 64, 64),
    kernel_size=(8, 4, 3),
    strides=(4, 2, 1),
    padding="valid",
    pool=1,
    units=(512,),
)


@pytest.mark.parametrize(
    ("config", "data", "parameters"),
    [
        # 8,224, 32,832 and 36,928 in the convolutions, 1,606,144 and 2,052 behind them.
        (NATURE, ((84, 84, 4), 4), 1_686_180),
        (LeNet5(), ((28, 28, 1), 10), 61_706),
        (LeNet5(variant="relu"), ((32, 32, 1), 10), 61_706),
        (AlexNet(variant="imagenet"), IMAGENET, 61_100_840),
        (Inception(variant="imagenet", batch_norm=False), IMAGENET, 13_378_280),
        (
            Inception(variant="imagenet", batch_norm=False, auxiliary_weight=0.0),
            IMAGENET,
            6_998_552,
        ),
        (ResNet(depth=20), CIFAR, 269_722),
        (ResNet(depth=32), CIFAR, 464_154),
        (ResNet(depth=44), CIFAR, 658_586),
        (ResNet(depth=56), CIFAR, 853_018),
        (ResNet(depth=110), CIFAR, 1_727_962),
        (imagenet_resnet(18), IMAGENET, 11_689_512),
        (imagenet_resnet(34), IMAGENET, 21_797_672),
        (imagenet_resnet(50), IMAGENET, 25_557_032),
        (WideResNet(depth=16, width=8), CIFAR, 10_961_370),
        (WideResNet(depth=28, width=10), CIFAR, 36_479_194),
        (imagenet_vgg(11), IMAGENET, 132_863_336),
        (imagenet_vgg(13), IMAGENET, 133_047_848),
        (imagenet_vgg(16), IMAGENET, 138_357_544),
        (imagenet_vgg(19), IMAGENET, 143_667_240),
        (Airbench(), CIFAR, 1_971_352),
        # 14,714,688 in the convolutions, 512 · 512 + 512 and 5,130 behind them.
        (VGG(batch_norm=False), CIFAR, 14_982_474),
        # 4,253,864 with the head of 1000 classes on 1024 features.
        (Applications(name="MobileNet"), IMAGENET, 4_253_864 - 21_888),
    ],
)
def test_the_number_of_parameters_is_the_papers(config, data, parameters):
    # A graph whose variables are never created, since some of them take half a gigabyte.
    with tf.Graph().as_default():
        step = tf.Variable(0, dtype=tf.int64, trainable=False)
        model = build_network(config, *data, Context(0, step)).model
        counted = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    assert counted == parameters
