"""Test-time augmentation against averages in NumPy."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import CNN, MLP, Evaluate, Linear, Supervised
from trainer.data.examples import Dataset, InMemoryExamples
from trainer.data.signature import Signature
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.errors import UserError
from trainer.supervised.classifier import Classifier
from trainer.supervised.task import SupervisedTask
from trainer.supervised.test_time import averaged_logits

SHAPE = (6, 5, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (9, *SHAPE), np.uint8)
KINDS = ("none", "flip", "flip_translate")


def signature(shape):
    channels = shape[-1]
    offset, scale = (0.0,) * channels, (1 / 255,) * channels
    return Signature("image", shape, shape, ("a", "b"), (), offset, scale)


def classifier(model, shape=SHAPE):
    return Classifier(Supervised(model=model), signature(shape), tf.Variable(0, dtype=tf.int64))


def mean_logits(network, images, kind):
    """Every view as often as its weight says."""

    def logits(view):
        return network(np.float32(view / 255), training=False).numpy()

    def mirrored(view):
        return (logits(view) + logits(view[:, :, ::-1])) / 2

    if kind == "none":
        return logits(images)
    if kind == "flip":
        return mirrored(images)
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect")
    translated = mirrored(padded[:, :-2, :-2]) + mirrored(padded[:, 2:, 2:])
    return 0.5 * mirrored(images) + 0.25 * translated


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_the_mean_over_the_views(kind):
    made = classifier(CNN(filters=(4,), units=(), dropout=0.5))
    found = tf.function(averaged_logits(made, kind))(tf.constant(IMAGES))
    np.testing.assert_allclose(found, mean_logits(made.network, IMAGES, kind), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_uses_the_mean(kind):
    experiment = Supervised(model=Linear(), evaluate=Evaluate(test_time_augmentation=kind))
    split = InMemoryExamples(IMAGES, np.arange(9, dtype=np.int32) % 2)
    runtime = distribution.create(DistributionConfig("cpu", precision="float32"))
    task = SupervisedTask(experiment, Dataset({"train": split}, signature(SHAPE)), runtime, 1)
    logits = mean_logits(task.network, IMAGES, kind)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    metrics = task.evaluate_split(split)
    loss = -log_probabilities[np.arange(9), split.targets].mean()
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-5)
    assert metrics["accuracy"] == pytest.approx((logits.argmax(axis=1) == split.targets).mean())


@pytest.mark.parametrize("shape", [(7,), (1, 6, 3)])
def test_examples_without_mirror_images_or_translations_are_refused(shape):
    made = classifier(MLP(units=()), shape)
    averaged_logits(made, "none")
    with pytest.raises(UserError, match=r"test_time_augmentation applies to images .*\("):
        averaged_logits(made, "flip_translate")
