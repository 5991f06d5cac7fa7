import pytest

from trainer.config import CutMix, MixUp, RandomCrop, RandomFlip, RandomResizedCrop, Supervised
from trainer.errors import UserError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Supervised(augment=(RandomCrop(), MixUp(), CutMix(), RandomFlip())),
            "augment must have mixup and cutmix last. Received: crop,mixup,cutmix,flip",
        ),
        (
            lambda: RandomFlip(probability=0.25, alternating=True),
            "probability must be 0.5 if flips are alternating. Received: 0.25; remove it, or set "
            "alternating=False",
        ),
        (
            lambda: RandomResizedCrop(min_area=0.5, max_area=0.25),
            "min_area must be <= max_area (0.25). Received: 0.5",
        ),
        (
            lambda: RandomResizedCrop(min_aspect=2.0),
            "min_aspect must be <= max_aspect (1.33333). Received: 2",
        ),
    ],
)
def test_fields_that_contradict_each_other_are_refused(make, message):
    with pytest.raises(UserError) as caught:
        make()
    assert str(caught.value) == message


def test_several_mixing_sections_may_be_last():
    sections = (RandomCrop(), MixUp(), CutMix())
    assert Supervised(augment=sections).augment == sections
