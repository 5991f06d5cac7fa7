"""Byte ranges of files, and files that change."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.data.records.shard import Shard, read_ranges


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 90), st.integers(0, 10)), max_size=20))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ranges_of_several_files(tmp_path, ranges):
    contents = [bytes(range(100)), bytes(range(100, 200))]
    for number, content in enumerate(contents):
        (tmp_path / str(number)).write_bytes(content)
    shards = [Shard.of(str(tmp_path / str(number))) for number in range(2)]
    files, offsets, lengths = np.array(ranges, np.int64).reshape(-1, 3).T
    expected = [contents[file][offset : offset + length] for file, offset, length in ranges]
    assert read_ranges(shards, files, offsets, lengths) == expected


def read(shard, offset, length):
    return read_ranges([shard], np.zeros(1, int), np.array([offset]), np.array([length]))


def test_a_range_beyond_the_end_is_an_error(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    with pytest.raises(OSError, match="shorter than when it was indexed"):
        read(Shard.of(str(path)), 2, 5)


def test_a_file_that_changed_is_an_error(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    shard = Shard.of(str(path))
    assert not shard.is_changed()
    assert read(shard, 1, 2) == [b"bc"]
    # The size and the second are the same.
    os.utime(path, ns=(shard.modified, shard.modified + 1000))
    assert shard.is_changed()
    with pytest.raises(OSError, match="file has changed since it was indexed"):
        read(shard, 1, 2)
    path.unlink()
    assert shard.is_changed()
    with pytest.raises(OSError, match="No such file"):
        read(shard, 1, 2)


def test_no_file_is_left_open(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    shard = Shard.of(str(path))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        read(shard, 0, 1)
        with pytest.raises(OSError, match="shorter"):
            read(shard, 0, 9)
    assert len(os.listdir("/proc/self/fd")) == before
