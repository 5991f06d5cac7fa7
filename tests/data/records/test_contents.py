"""Labels of records, selected, and what is kept of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.compat.keras import tf
from trainer.data.records.contents import RecordContents, read_contents
from trainer.data.records.index import index_shards


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=12), st.data())
@settings(deadline=None)
def test_selected_records_keep_their_labels(labels, data):
    size = len(labels)
    contents = RecordContents(
        np.array([each for row in labels for each in row], np.int64),
        None,
        np.array(list(map(len, labels))),
        np.arange(size, dtype=np.int8),
        np.arange(2 * size, dtype=np.int32).reshape(-1, 2),
        np.zeros(0, np.int64),
        np.zeros(0, np.str_),
        (),
    )
    chosen = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=9))
    part = contents.select(np.array(chosen))
    ends = np.cumsum(part.counts)[:-1]
    assert [row.tolist() for row in np.split(part.labels, ends)] == [labels[n] for n in chosen]
    np.testing.assert_array_equal(part.codes, chosen)
    np.testing.assert_array_equal(part.sizes[:, 0] // 2, chosen)
    assert part.records.tolist() == [n for n, c in enumerate(chosen) for _ in labels[c]]


@pytest.mark.parametrize("label", [b"a name of some length", 7], ids=["names", "numbers"])
def test_contents_take_few_bytes_per_record(tmp_path, monkeypatch, label):
    monkeypatch.setenv("TRAINER_CACHE_DIR", str(tmp_path / "cache"))
    path = str(tmp_path / "shard")
    kind = (
        tf.train.Feature(bytes_list=tf.train.BytesList(value=[label]))
        if isinstance(label, bytes)
        else tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    )
    number = tf.train.Feature(float_list=tf.train.FloatList(value=[0.5]))
    features = tf.train.Features(feature={"x": number, "label": kind})
    with tf.io.TFRecordWriter(path) as writer:
        for _ in range(3000):
            writer.write(tf.train.Example(features=features).SerializeToString())
        # One broken record must not make those of all others large.
        writer.write(b"no example")
    contents = read_contents(index_shards([path]), "", ("x",), "label")
    assert contents.broken.tolist() == [3000]
    arrays = [value for value in vars(contents).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in arrays) <= 26 * 3000
    assert contents.names == ((label.decode(),) if isinstance(label, bytes) else None)
