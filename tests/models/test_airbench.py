import dataclasses

import numpy as np
import pytest
from PIL import Image
from sklearn import datasets

from trainer.compat.keras import keras, tf
from trainer.config import Airbench, Evaluate, Train, loading
from trainer.data.examples import Dataset, InMemoryExamples
from trainer.data.signature import Signature
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.models.airbench import PartialIdentity, Whitening, patch_covariance, whitening_filters
from trainer.models.building import build_network
from trainer.models.context import Context
from trainer.supervised.task import SupervisedTask

RANDOM = np.random.default_rng(0)


def correlated_images(count=40, channels=3):
    """Noise whose neighboring pixels and channels are correlated, with a mean other than 0."""
    noise = RANDOM.normal(0.3, 1.0, size=(count, 9, 11, channels))
    rows = noise[:, 1:] + 0.7 * noise[:, :-1]
    mixing = np.eye(channels) + 0.5 * RANDOM.normal(size=(channels, channels))
    return ((rows[:, :, 1:] - 0.4 * rows[:, :, :-1]) @ mixing).astype(np.float32)


def patches(images):
    """Every 2x2 patch, one per row."""
    _, height, width, _ = images.shape
    return np.concatenate(
        [
            images[:, i : i + 2, j : j + 2].reshape(len(images), -1)
            for i in range(height - 1)
            for j in range(width - 1)
        ]
    ).astype(np.float64)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_covariance_is_that_of_all_patches(channels):
    images = correlated_images(channels=channels)
    rows = patches(images)
    found = patch_covariance(iter([images[:7], images[7:]]))
    np.testing.assert_allclose(found, rows.T @ rows / len(rows), rtol=1e-5, atol=1e-5)


def test_whitened_patches_are_uncorrelated_with_variance_1():
    images = correlated_images()
    layer = Whitening(lambda count: iter([images[:count]]))
    outputs = layer(images).numpy().reshape(-1, 24)
    half = outputs[:, :12]
    np.testing.assert_allclose(half.T @ half / len(half), np.eye(12), atol=5e-3)
    np.testing.assert_allclose(outputs[:, 12:], -half, rtol=1e-5, atol=1e-5)


def test_filters_follow_the_eigenvectors():
    rows = patches(correlated_images())
    covariance = rows.T @ rows / len(rows)
    filters = whitening_filters(covariance)
    values = np.linalg.eigvalsh(covariance)
    # v is an eigenvector of length 1, so |v / sqrt(λ + ε)| is known and C v = λ v.
    np.testing.assert_allclose(
        np.linalg.norm(filters[:, :12], axis=0), 1 / np.sqrt(values + 5e-4), rtol=1e-4
    )
    np.testing.assert_allclose(covariance @ filters[:, :12], filters[:, :12] * values, atol=1e-4)


def test_a_direction_without_variance_stays_finite():
    assert np.isfinite(whitening_filters(np.zeros((4, 4)))).all()


def test_without_a_sample_filters_copy_pixels():
    kernel = Whitening(None)
    kernel.build(tf.TensorShape([None, 8, 8, 1]))
    flat = kernel.kernel.numpy().reshape(4, 8)
    assert (np.count_nonzero(flat, axis=0) == 1).all()


def test_the_whitening_is_not_trained_but_its_bias_is():
    layer = Whitening(None)
    layer.build(tf.TensorShape([None, 8, 8, 1]))
    assert [variable.shape for variable in layer.trainable_variables] == [(8,)]


def test_the_first_filters_copy_their_channel():
    keras.utils.set_random_seed(0)
    images = RANDOM.normal(size=(2, 5, 5, 4)).astype(np.float32)
    convolution = keras.layers.Conv2D(
        16, 3, padding="same", use_bias=False, kernel_initializer=PartialIdentity()
    )
    outputs = convolution(images)
    np.testing.assert_allclose(outputs[..., :4], images, rtol=1e-5, atol=1e-6)
    others = convolution.kernel.numpy()[..., 4:]
    bound = 1 / np.sqrt(3 * 3 * 4)
    assert 0.95 * bound < np.abs(others).max() <= bound
    assert abs(others.std() - bound / np.sqrt(3)) < 0.02


def test_there_may_be_fewer_filters_than_channels():
    kernel = PartialIdentity()((3, 3, 4, 2)).numpy()
    np.testing.assert_array_equal(kernel[1, 1], np.eye(4, 2))
    assert np.count_nonzero(kernel) == 2


def network(shape, width=0.1):
    keras.utils.set_random_seed(0)
    step = tf.Variable(0, dtype=tf.int64)
    return build_network(Airbench(width=width), shape, 10, Context(0, step)).model


@pytest.mark.parametrize("shape", [(16, 16, 1), (16, 16, 3), (32, 32, 3), (37, 50, 1)])
def test_it_takes_images_of_16_pixels_and_more(shape):
    assert network(shape)(tf.ones([2, *shape])).shape == (2, 10)


def test_the_head_has_no_bias_and_a_standard_deviation_of_1():
    head = network((16, 16, 3), width=1.0).layers[-1]
    assert not head.use_bias
    assert abs(head.kernel.numpy().std() - 1) < 0.03


def noisy_digits():
    """scikit-learn's digits as smooth images of 32x32 with noise, uint8 `[N, 32, 32, 1]`."""
    digits = datasets.load_digits()
    smooth = [
        Image.fromarray((image * 15).astype(np.uint8)).resize((32, 32), Image.Resampling.BICUBIC)
        for image in digits.images
    ]
    pixels = np.stack([np.asarray(image, np.float32) for image in smooth])
    noisy = pixels + np.random.default_rng(0).normal(0, 12, pixels.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)[..., None], digits.target.astype(np.int32)


def test_the_recipe_learns_in_20_updates():
    """The learning rates are those of configs/cifar10_fast.py, for a mean over 100 examples."""
    batch_size, updates = 100, 20
    images, labels = noisy_digits()
    splits = {
        name: InMemoryExamples(images[part], labels[part])
        for name, part in (("train", slice(0, 1400)), ("validation", slice(1400, None)))
    }
    shape, scale = (32, 32, 1), (1 / float(images.std()),)
    signature = Signature(
        "image", shape, shape, tuple("0123456789"), (), (float(images.mean()),), scale
    )
    recipe = loading.load("configs/cifar10_fast.py")
    share = batch_size / recipe.train.global_batch_size
    experiment = dataclasses.replace(
        recipe,
        model=Airbench(width=0.125),
        augment=(),
        optimizer=dataclasses.replace(
            recipe.optimizer,
            head_learning_rate=recipe.optimizer.head_learning_rate * share,
            bias_learning_rate=recipe.optimizer.bias_learning_rate * share,
        ),
        train=Train(steps=updates, global_batch_size=batch_size, label_smoothing=0.2),
        evaluate=Evaluate(),
    )
    runtime = distribution.create(DistributionConfig("cpu", precision="float32"))
    task = SupervisedTask(experiment, Dataset(splits, signature), runtime, updates)
    task.start(0)
    task.advance(updates)
    assert task.evaluate()["accuracy"] > 0.9
