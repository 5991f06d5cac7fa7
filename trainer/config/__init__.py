"""The configuration of an experiment: frozen dataclasses that are checked at construction.

A configuration file imports everything it needs from here:

    from trainer.config import CNN, Adam, CosineSchedule, Digits, Supervised, Train

Each section has a module (`data`, `augment`, `models`, `optimizers`, `agents`), as has each
kind of experiment (`supervised`, `rl`). `fields` declares fields, `durations` reads lengths of
training, `loading` converts an experiment from and to mappings, JSON and files, `overrides`
changes fields by path, `inspection` lists fields and differences, and `user_code` imports a
user's own modules. Nothing here imports TensorFlow.
"""

from trainer.config.agents import (
    DQN,
    PPO,
    CustomAgent,
    EpsilonGreedy,
    PrioritizedReplay,
    QLinear,
    Reinforce,
    UniformReplay,
)
from trainer.config.augment import (
    ColorJitter,
    CutMix,
    Cutout,
    MixUp,
    RandAugment,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
)
from trainer.config.data import (
    CSV,
    IDX,
    TFDS,
    CustomData,
    Digits,
    ImageFolder,
    Parquet,
    TFRecord,
)
from trainer.config.loading import Experiment
from trainer.config.models import (
    CNN,
    MLP,
    VGG,
    Airbench,
    AlexNet,
    Applications,
    ConvNet,
    CustomModel,
    Inception,
    KerasCNN,
    LeNet5,
    Linear,
    ResNet,
    WideResNet,
)
from trainer.config.optimizers import (
    LAMB,
    SGD,
    Adam,
    AdamW,
    ConstantSchedule,
    CosineSchedule,
    ExponentialSchedule,
    LinearSchedule,
    Lion,
    Muon,
    OneCycleSchedule,
    PolynomialSchedule,
    RMSprop,
    StepSchedule,
)
from trainer.config.rl import Environment, EvaluateRL, ReinforcementLearning, TrainRL
from trainer.config.supervised import Evaluate, Supervised, Train

__all__ = [
    "CNN",
    "CSV",
    "DQN",
    "IDX",
    "LAMB",
    "MLP",
    "PPO",
    "SGD",
    "TFDS",
    "VGG",
    "Adam",
    "AdamW",
    "Airbench",
    "AlexNet",
    "Applications",
    "ColorJitter",
    "ConstantSchedule",
    "ConvNet",
    "CosineSchedule",
    "CustomAgent",
    "CustomData",
    "CustomModel",
    "CutMix",
    "Cutout",
    "Digits",
    "Environment",
    "EpsilonGreedy",
    "Evaluate",
    "EvaluateRL",
    "Experiment",
    "ExponentialSchedule",
    "ImageFolder",
    "Inception",
    "KerasCNN",
    "LeNet5",
    "Linear",
    "LinearSchedule",
    "Lion",
    "MixUp",
    "Muon",
    "OneCycleSchedule",
    "Parquet",
    "PolynomialSchedule",
    "PrioritizedReplay",
    "QLinear",
    "RMSprop",
    "RandAugment",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
    "Reinforce",
    "ReinforcementLearning",
    "ResNet",
    "StepSchedule",
    "Supervised",
    "TFRecord",
    "Train",
    "TrainRL",
    "UniformReplay",
    "WideResNet",
]
