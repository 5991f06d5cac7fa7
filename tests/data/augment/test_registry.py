"""What holds for every augmentation of the configuration, in the pipeline that trains."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import ColorJitter, RandAugment, RandomCrop, RandomFlip
from trainer.config.augment import Augmentation, Mixing
from trainer.config.fields import members, variants
from trainer.data.augment.mixing import make_mix
from trainer.data.augment.registry import AUGMENTATIONS, make_augment
from trainer.data.examples import InMemoryExamples
from trainer.data.pipelines.batches import training_pipeline
from trainer.data.pipelines.order import Natural
from trainer.errors import UserError

KINDS = variants(Augmentation)
SIZE, BATCH, CLASSES = 12, 8, 3


def section_for(kind, channels):
    if kind == "color_jitter" and channels == 1:
        return ColorJitter(saturation=0.0)
    return KINDS[kind]()


def examples(channels):
    random = np.random.default_rng(0)
    return InMemoryExamples(
        random.integers(0, 256, (SIZE, 10, 9, channels), np.uint8),
        random.integers(0, CLASSES, SIZE).astype(np.int32),
    )


def batches(sections, count, seed=0, first_step=0, replicas=1, channels=3):
    """`count` global batches: a list of arrays each."""
    pipeline = training_pipeline(
        examples(channels),
        Natural(SIZE, seed),
        BATCH,
        first_step,
        make_augment(sections, seed, (10, 9, channels)),
        make_mix(sections, seed, CLASSES),
    )
    dataset = pipeline(tf.distribute.InputContext(1, 0, replicas)).take(count * replicas)
    shares = [[part.numpy() for part in batch] for batch in dataset]
    return [
        [np.concatenate(parts) for parts in zip(*shares[n : n + replicas], strict=True)]
        for n in range(0, len(shares), replicas)
    ]


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_every_kind_of_the_configuration_has_an_augmentation():
    mixing = {kind for kind, section in KINDS.items() if section in members(Mixing)}
    assert set(AUGMENTATIONS) == set(KINDS) - mixing


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_augmentation_changes_images_and_keeps_their_form(kind, channels):
    ((images, labels),) = batches((), 1, channels=channels)
    ((changed, kept, *_),) = batches((section_for(kind, channels),), 1, channels=channels)
    assert changed.shape == images.shape
    assert changed.dtype == np.uint8
    assert (changed != images).any()
    np.testing.assert_array_equal(kept, labels)


@pytest.mark.parametrize("kind", KINDS)
def test_every_augmentation_depends_on_seed_and_position_only(kind):
    sections = (KINDS[kind](),)
    whole = batches(sections, 6)
    assert_equal(batches(sections, 2, first_step=2), whole[2:4])
    assert_equal(batches(sections, 3, replicas=2), whole[:3])
    assert (batches(sections, 1, seed=1)[0][0] != whole[0][0]).any()
    # The same example in different epochs.
    images = np.concatenate([images for images, *_ in whole])
    indices = Natural(SIZE, 0).select(tf.range(4 * SIZE, dtype=tf.int64)).examples.numpy()
    epochs = [images[n * SIZE + np.argsort(indices[n * SIZE :][:SIZE])] for n in range(4)]
    assert any((epochs[0] != later).any() for later in epochs[1:])


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_eager_results_are_those_of_the_pipeline(kind):
    split = examples(3)
    selection = Natural(SIZE, 0).select(tf.range(BATCH, dtype=tf.int64))
    augment = make_augment((KINDS[kind](),), 0, (10, 9, 3))
    eager = augment(split.at(selection.examples)[0], selection)
    found = batches((KINDS[kind](),), 1)[0][0]
    # A fused multiplication rounds differently.
    assert abs(found.astype(int) - eager.numpy()).max() <= 1


def test_two_equal_augmentations_draw_different_numbers():
    def shift(images):
        return images.argmax(axis=1).ravel() - 4

    image = np.zeros((BATCH, 9, 1, 1), np.uint8)
    image[:, 4] = 1
    selection = Natural(SIZE, 0).select(tf.range(BATCH, dtype=tf.int64))
    crop = RandomCrop(padding=1)
    once, twice = (
        make_augment((crop,) * n, 0, (9, 1, 1))(tf.constant(image), selection).numpy()
        for n in (1, 2)
    )
    inside = once.any(axis=(1, 2, 3)) & twice.any(axis=(1, 2, 3))
    assert (shift(twice)[inside] != 2 * shift(once)[inside]).any()


def test_without_augmentations_there_is_no_function():
    assert make_augment((), 0, (8, 8, 1)) is None
    assert make_augment((), 0, (7,)) is None


@pytest.mark.parametrize(
    ("section", "shape", "message"),
    [
        (
            RandomFlip(),
            (7,),
            "augment applies to images only; leave it empty for examples of shape",
        ),
        (
            RandomCrop(padding=4, mode="reflect"),
            (4, 9, 1),
            r"padding must be below the image's height and width \(4, 9\) .* Received: 4",
        ),
        (
            ColorJitter(saturation=0.5, hue=0.1),
            (8, 8, 1),
            "saturation and hue must be 0 for grayscale images. Received: 0.5 and 0.1",
        ),
        (RandAugment(), (8, 8, 4), "rand_augment needs images with 1 or 3 channels.* Received: 4"),
    ],
)
def test_augmentations_that_do_not_fit_the_examples_are_refused(section, shape, message):
    with pytest.raises(UserError, match=message):
        make_augment((section,), 0, shape)


def test_images_of_other_types_can_be_cropped_and_flipped_only():
    images = tf.random.stateless_normal([4, 6, 6, 2], seed=(0, 0))
    selection = Natural(SIZE, 0).select(tf.range(4, dtype=tf.int64))
    moved = make_augment((RandomCrop(padding=1), RandomFlip()), 0, (6, 6, 2))(images, selection)
    assert moved.dtype == tf.float32
    with pytest.raises(UserError, match=r"cutout needs images stored as uint8.*float32"):
        make_augment((KINDS["cutout"](),), 0, (6, 6, 2))(images, selection)
