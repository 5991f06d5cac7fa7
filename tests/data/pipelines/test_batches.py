import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.compat.keras import tf
from trainer.data.examples import InMemoryExamples
from trainer.data.pipelines.batches import (
    evaluation_pipeline,
    evaluation_steps,
    training_pipeline,
    with_waiting_time,
)
from trainer.data.pipelines.order import Balanced, Natural, permuted_indices, select_partners


def numbered(size):
    return InMemoryExamples(
        np.arange(size, dtype=np.float32)[:, None], np.arange(size, dtype=np.int32)
    )


def labels(pipeline, count, pipelines=1, replicas=1, pipeline_id=0):
    context = tf.distribute.InputContext(pipelines, pipeline_id, replicas)
    return [batch[1].numpy() for batch in pipeline(context).take(count)]


@given(st.integers(1, 50), st.integers(0, 2**31), st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_an_epoch_is_a_permutation(size, seed, epoch):
    positions = tf.range(size, dtype=tf.int64) + epoch * size
    assert sorted(permuted_indices(positions, size, seed).numpy()) == list(range(size))


def test_epochs_and_seeds_differ():
    def epoch(number, seed):
        positions = tf.range(100, dtype=tf.int64) + number * 100
        return permuted_indices(positions, 100, seed).numpy().tolist()

    orders = [epoch(0, 0), epoch(1, 0), epoch(0, 1)]
    assert all(a != b for a, b in zip(orders, orders[1:] + orders[:1], strict=True))
    # Not merely rotated, nor nearly in order.
    first = np.array(orders[0])
    assert abs(np.corrcoef(first, np.arange(100))[0, 1]) < 0.4


def test_each_epoch_has_every_example_once():
    pipeline = training_pipeline(
        numbered(10), order=Natural(10, 3), global_batch_size=4, first_step=0
    )
    sequence = np.concatenate(labels(pipeline, 5))
    assert sorted(sequence[:10]) == list(range(10))
    assert sorted(sequence[10:]) == list(range(10))


@pytest.mark.parametrize("first_step", [1, 7, 100_000])
def test_any_step_can_be_the_first(first_step):
    split = numbered(10)
    whole = labels(training_pipeline(split, Natural(len(split), 3), 4, first_step - 1), 4)
    later = labels(training_pipeline(split, Natural(len(split), 3), 4, first_step), 3)
    np.testing.assert_array_equal(later, whole[1:])


@pytest.mark.parametrize(("pipelines", "replicas"), [(1, 2), (2, 2), (2, 4), (4, 4)])
def test_replicas_and_hosts_share_out_the_same_batches(pipelines, replicas):
    pipeline = training_pipeline(
        numbered(37), order=Natural(37, 1), global_batch_size=8, first_step=5
    )
    alone = labels(pipeline, 3)
    local = replicas // pipelines
    parts = [
        labels(pipeline, 3 * local, pipelines, replicas, pipeline_id)
        for pipeline_id in range(pipelines)
    ]
    for step in range(3):
        shares = [part[step * local + replica] for part in parts for replica in range(local)]
        np.testing.assert_array_equal(np.concatenate(shares), alone[step])


@pytest.mark.parametrize(("pipelines", "replicas"), [(1, 1), (1, 2), (2, 2)])
def test_evaluation_sees_every_example_once(pipelines, replicas):
    split = numbered(11)
    pipeline = evaluation_pipeline(split, global_batch_size=4)
    assert evaluation_steps(11, 4) == 3
    seen = []
    for pipeline_id in range(pipelines):
        context = tf.distribute.InputContext(pipelines, pipeline_id, replicas)
        for _, batch_labels, weights in pipeline(context):
            assert len(weights) == 4 // replicas
            seen += batch_labels.numpy()[weights.numpy() > 0].tolist()
    assert sorted(seen) == list(range(11))


def test_features_stay_with_their_labels():
    context = tf.distribute.InputContext(1, 0, 1)
    for features, batch_labels in training_pipeline(numbered(50), Natural(50, 0), 8, 0)(
        context
    ).take(9):
        np.testing.assert_array_equal(features[:, 0], batch_labels)


def test_waiting_times_follow_the_same_batches():
    context = tf.distribute.InputContext(1, 0, 1)
    plain = training_pipeline(numbered(50), Natural(50, 0), 8, 0)
    timed = with_waiting_time(plain)(context).take(4)
    for (features, targets), (*batch, waited) in zip(plain(context), timed, strict=False):
        np.testing.assert_array_equal(batch[0], features)
        np.testing.assert_array_equal(batch[1], targets)
        assert 0 <= float(waited) < 10


def test_partners_are_an_independent_permutation_of_the_same_epoch():
    size = 100
    positions = tf.range(3 * size, dtype=tf.int64)
    order = Natural(size, 0)
    own, partners = order.select(positions), select_partners(order, positions)
    for epoch in range(3):
        part = slice(epoch * size, (epoch + 1) * size)
        assert sorted(partners.examples[part].numpy()) == list(range(size))
        assert set(partners.epochs[part].numpy()) == set(own.epochs[part].numpy()) == {epoch}
        assert abs(np.corrcoef(own.examples[part], partners.examples[part])[0, 1]) < 0.3
    # They share no random numbers with the sequence.
    assert (partners.positions < 0).numpy().all()
    assert len(set(partners.positions.numpy())) == 3 * size


def test_mixed_batches_have_the_partners_and_the_original_labels():
    size = 10

    def mix(images, labels, partners, partner_labels, selection):
        return tf.stack([images, partners], 1), tf.stack(
            [labels, partner_labels, tf.cast(selection.examples, tf.int32)], 1
        )

    pipeline = training_pipeline(numbered(size), Natural(size, 3), 4, 0, None, mix)
    expected = select_partners(Natural(size, 3), tf.range(12, dtype=tf.int64)).examples
    found = list(pipeline(tf.distribute.InputContext(1, 0, 1)).take(3))
    np.testing.assert_array_equal(np.concatenate([t[:, 1] for *_, t in found]), expected)
    for features, own, targets in found:
        np.testing.assert_array_equal(features[:, 0, 0], own)
        np.testing.assert_array_equal(features[:, 1, 0], targets[:, 1])
        np.testing.assert_array_equal(targets[:, 0], own)
        np.testing.assert_array_equal(targets[:, 2], own)


CLASSES = np.array([0] * 20 + [2] * 3 + [3] * 7, np.int32)


def test_balanced_batches_have_each_class_equally_often():
    order = Balanced(CLASSES, seed=0)
    selection = order.select(tf.range(210, dtype=tf.int64))
    examples = selection.examples.numpy()
    drawn = CLASSES[examples]
    # Class 1 has no examples.
    np.testing.assert_array_equal(drawn, np.tile([0, 2, 3], 70))
    for name, size in ((0, 20), (2, 3), (3, 7)):
        of_class = examples[drawn == name]
        for first in range(0, 70 - size, size):
            assert sorted(of_class[first : first + size]) == list(np.flatnonzero(name == CLASSES))
        np.testing.assert_array_equal(
            selection.epochs.numpy()[drawn == name], np.arange(70) // size
        )
    # Each time that a class is used up it has another order.
    rare = examples[drawn == 2]
    assert len({tuple(rare[first : first + 3]) for first in range(0, 69, 3)}) > 3


def test_balanced_order_is_a_function_of_seed_and_position():
    positions = tf.range(100, dtype=tf.int64)
    whole = Balanced(CLASSES, seed=0).select(positions).examples.numpy()
    later = Balanced(CLASSES, seed=0).select(positions[60:]).examples.numpy()
    np.testing.assert_array_equal(later, whole[60:])
    other = Balanced(CLASSES, seed=1).select(positions).examples.numpy()
    assert (other != whole).mean() > 0.5
    partners = select_partners(Balanced(CLASSES, seed=0), positions).examples.numpy()
    assert (partners != whole).mean() > 0.5


@pytest.mark.parametrize("pipelines", [1, 2])
def test_balanced_batches_resume_and_are_shared_out(pipelines):
    split, order = numbered(30), Balanced(CLASSES, seed=2)
    whole = labels(training_pipeline(split, order, 6, 0), 5)
    later = labels(training_pipeline(split, order, 6, 3), 2)
    np.testing.assert_array_equal(later, whole[3:])
    pipeline = training_pipeline(split, order, 6, 0)
    shares = [labels(pipeline, 5, pipelines, pipelines, number) for number in range(pipelines)]
    np.testing.assert_array_equal(np.concatenate(shares, axis=1), whole)
