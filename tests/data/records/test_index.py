"""Any records in any shards are found again at their offsets."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.compat.keras import tf
from trainer.data.records.index import index_shards

RECORDS = st.lists(st.lists(st.binary(max_size=60), min_size=1, max_size=9), min_size=1, max_size=4)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINER_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


@given(RECORDS, st.randoms(use_true_random=False))
@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_records_are_found_at_their_offsets(folder, shards, random):
    paths = [str(folder / f"shard-{number}") for number in range(len(shards))]
    for path, records in zip(paths, shards, strict=True):
        with tf.io.TFRecordWriter(path) as writer:
            for each in records:
                writer.write(each)
    index = index_shards(paths)
    flat = [each for records in shards for each in records]
    assert len(index) == len(flat)
    order = list(range(len(flat)))
    random.shuffle(order)
    part = index.select(np.array(order))
    found = part.read(slice(None))
    assert found == [flat[number] for number in order]
    # Equal contents, and only those, have equal digests.
    assert len({bytes(each) for each in index.identities}) == len(set(flat))
    assert index.where(len(flat) - 1) == f"{paths[-1]}, record {len(shards[-1]) - 1}"


def test_records_before_a_damaged_one_are_found(folder):
    path = str(folder / "shard")
    records = [bytes([n % 256]) * 40 for n in range(3000)]
    with tf.io.TFRecordWriter(path) as writer:
        for each in records:
            writer.write(each)
    content = bytearray((folder / "shard").read_bytes())
    content[2500 * 56 + 30] ^= 1
    (folder / "shard").write_bytes(bytes(content))
    index = index_shards([path])
    assert index.damaged == ("is damaged or truncated at record 2500",)
    assert len(index) == 2500
    found = index.read(slice(None))
    assert found == records[:2500]


def test_an_index_takes_few_bytes_per_record(folder):
    path = str(folder / "shard")
    with tf.io.TFRecordWriter(path) as writer:
        for number in range(5000):
            writer.write(b"x" * (number % 7))
    index = index_shards([path])
    arrays = (index.files, index.numbers, index.offsets, index.lengths, index.identities)
    assert sum(array.nbytes for array in arrays) <= 44 * 5000
