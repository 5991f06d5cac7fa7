import dataclasses

import pytest

from trainer.config import (
    DQN,
    IDX,
    MLP,
    SGD,
    TFDS,
    VGG,
    Adam,
    CustomModel,
    Digits,
    RandomCrop,
    ReinforcementLearning,
    ResNet,
    Supervised,
    UniformReplay,
    WideResNet,
)
from trainer.config.fields import ConfigBase, members, selector, variants
from trainer.config.inspection import leaves
from trainer.config.models import Model
from trainer.errors import UserError


def test_int_is_converted_for_a_float_field():
    optimizer = Adam(learning_rate=1)
    assert isinstance(optimizer.learning_rate, float)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(nesterov=True), "nesterov=True requires momentum > 0"),
        (lambda: DQN(v_min=1.0, v_max=1.0), "v_min must be < v_max"),
        (lambda: TFDS(validation_split="test"), "must differ"),
        (lambda: IDX(class_names=("a", "a")), "two or more distinct names"),
        (
            lambda: Supervised(seed=2**32),
            "seed must be >= 0 and < 4294967296. Received: 4294967296",
        ),
        (lambda: ReinforcementLearning(seed=2**32), "seed must be >= 0 and < 4294967296"),
        (
            lambda: ReinforcementLearning(seed=2**32 - 2, seeds=3),
            "seed . seeds must be <= 4294967296",
        ),
        (lambda: Digits(split_seed=2**32), "split_seed must be >= 0 and < 4294967296"),
        (lambda: UniformReplay(capacity=1), "min_size must be <= capacity"),
        (lambda: ResNet(depth=18), r"depth must be 6n \+ 2 for cifar. Received: 18"),
        (lambda: ResNet(depth=20, variant="imagenet"), "depth must be one of 18, 34, 50"),
        (lambda: WideResNet(depth=20), r"depth must be 6n \+ 4. Received: 20"),
        (lambda: VGG(depth=12), "depth must be one of 11, 13, 16, 19. Received: 12"),
    ],
)
def test_invalid_combination_is_rejected_at_construction(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP(units=[3]), "units must be a tuple of int. Received: [3]"),
        (lambda: MLP(units=(True,)), "units must be of type int. Received: (True,)"),
        (lambda: Adam(learning_rate="1"), "learning_rate must be of type float. Received: '1'"),
        (lambda: Adam(learning_rate=float("nan")), "learning_rate must be > 0. Received: nan"),
        (lambda: MLP(activation="rellu"), "activation: unknown value. Did you mean 'relu'?"),
        (lambda: CustomModel(), "builder must not be empty"),
        (lambda: Supervised(model=Adam()), "model must be a section. Received: Adam("),
        (lambda: Supervised(augment=RandomCrop()), "augment must be a tuple of sections"),
        (lambda: Supervised(augment=(Adam(),)), "augment must be a tuple of sections"),
    ],
)
def test_error_begins_with_the_field(make, message):
    with pytest.raises(UserError) as caught:
        make()
    assert str(caught.value).startswith(message)


def test_sections_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Supervised().seed = 3  # type: ignore[misc]


def subclasses(base):
    for section in base.__subclasses__():
        yield section
        yield from subclasses(section)


def test_every_field_has_a_description():
    sections = [
        one for one in subclasses(ConfigBase) if one.__module__.startswith("trainer.config")
    ]
    assert len(sections) > 30
    for section in sections:
        for leaf in leaves(section):
            assert leaf.field.metadata["doc"].endswith("."), f"{section.__name__}.{leaf.path}"


def test_variants_are_keyed_by_kind():
    kinds = variants(Model)
    assert kinds["wide_resnet"] is WideResNet
    assert list(kinds)[:2] == ["linear", "mlp"]
    assert len(kinds) == len(members(Model))
    assert variants(Supervised | ReinforcementLearning)["rl"] is ReinforcementLearning
    assert selector(UniformReplay) == "kind"
    assert selector(type(DQN().exploration)) == ""
