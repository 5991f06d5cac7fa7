"""The gradients of a batch in parts against those of the whole batch."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.config import CNN, MLP, SGD, CustomModel, Supervised, Train
from trainer.data.signature import Signature
from trainer.models import halves
from trainer.optim.groups import ParameterGroup
from trainer.optim.optimizers import Optimizer
from trainer.supervised.classifier import Classifier
from trainer.supervised.gradients import BatchGradients, can_be_halved
from trainer.supervised.losses import cross_entropy

RANDOM = np.random.default_rng(0)
SHAPE, SIZE, CLASSES = (8, 8, 2), 16, 3
LOSS = functools.partial(cross_entropy, label_smoothing=0.1)
FEATURES = tf.constant(RANDOM.normal(size=(SIZE, *SHAPE)), tf.float32)
TARGETS = tf.constant(RANDOM.integers(0, CLASSES, SIZE), tf.int32)


def users_regularized_model(config, inputs, context):
    """A user's network with a regularizer, which is a loss of the network's own."""
    del config, context
    features = keras.layers.Flatten()(inputs)
    return keras.layers.Dense(4, kernel_regularizer=keras.regularizers.L2(0.5))(features)


def computed(model, **parts):
    signature = Signature("image", SHAPE, SHAPE, ("a", "b", "c"), (), (0.0,) * 2, (1.0,) * 2)
    experiment = Supervised(seed=1, model=model)
    classifier = Classifier(experiment, signature, tf.Variable(5, False, dtype=tf.int64))
    groups = [ParameterGroup(classifier.network.trainable_variables)]
    optimizer = Optimizer(SGD(), groups, 10)
    gradients = BatchGradients(classifier, optimizer, LOSS, SIZE, 1, **parts)
    values, loss, logits = tf.function(gradients)(FEATURES, TARGETS)
    assert logits.shape == (SIZE, CLASSES)
    return [value.numpy() for value in values], loss.numpy(), logits.numpy()


def assert_equal(found, expected):
    for gradient, other in zip(found[0], expected[0], strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)
    np.testing.assert_allclose(found[2], expected[2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        MLP(units=(8,), dropout=0.5),
        CNN(filters=(4,), units=(8,), dropout=0.3),
        CustomModel(builder=f"{__name__}:users_regularized_model"),
    ],
    ids=["mlp", "cnn", "regularizer"],
)
def test_two_halves_equal_the_batch(model):
    """Dropout has the same masks in both cases."""
    assert_equal(computed(model, streams=2), computed(model))


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize(
    "model",
    [CNN(filters=(4,), units=(8,)), CustomModel(builder=f"{__name__}:users_regularized_model")],
    ids=["cnn", "regularizer"],
)
def test_micro_batches_equal_the_batch(model, streams):
    assert_equal(computed(model, micro_batches=4, streams=streams), computed(model))


def test_each_micro_batch_has_its_own_dropout_masks():
    model = MLP(units=(8,), dropout=0.5)
    ones = tf.ones([SIZE // 2, 6])
    masks = []
    for number in range(2):
        with halves.micro_batch(tf.constant(number)):
            masks.append(halves.uniform(tf.shape(ones), tf.constant([1, 2], tf.int64)).numpy())
    assert np.abs(masks[0] - masks[1]).min() > 0
    # The two parts are computed at all, in order.
    whole, parts = computed(model), computed(model, micro_batches=2)
    assert np.abs(whole[2] - parts[2]).max() > 1e-3


def test_a_mask_has_two_different_halves():
    seed = tf.constant([1, 2], tf.int64)
    whole = halves.uniform(tf.constant([7, 5]), seed).numpy()
    assert whole.shape == (7, 5)
    assert np.abs(whole[:3] - whole[4:]).min() > 0


@pytest.mark.parametrize(
    ("model", "train", "expected"),
    [
        (MLP(), Train(global_batch_size=32), True),
        (MLP(), Train(global_batch_size=33), False),
        (MLP(), Train(global_batch_size=32, micro_batches=32), False),
        (CNN(batch_norm=True), Train(global_batch_size=32), False),
        (CNN(batch_norm=True), Train(global_batch_size=32, batch_norm_group=16), True),
        (CNN(batch_norm=True), Train(global_batch_size=32, batch_norm_group=32), False),
        (CustomModel(builder="a:b"), Train(global_batch_size=32), False),
    ],
)
def test_which_batches_can_be_halved(model, train, expected):
    assert can_be_halved(Supervised(model=model, train=train)) is expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity here")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
@pytest.mark.parametrize(("cores", "streams", "threads"), [(2, 2, (1, 2)), (1, 1, (0, 0))])
def test_the_streams_of_a_processor(cores, streams, threads):
    program = f"""
import functools
import os
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:{cores}])
from trainer.compat.keras import tf
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
runtime = distribution.create(DistributionConfig("cpu"), allow_streams=True)
threads = tf.config.threading
print(runtime.streams, threads.get_intra_op_parallelism_threads(),
      threads.get_inter_op_parallelism_threads())
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == [str(streams), *map(str, threads)]
