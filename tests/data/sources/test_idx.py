import gzip
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import IDX
from trainer.data.loading import load
from trainer.errors import UserError
from trainer.io import memory

NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def contents(values):
    """An IDX file of unsigned bytes."""
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    return header + values.tobytes()


def write(folder, splits, compressed=()):
    for split, arrays in splits.items():
        for name, values in zip(NAMES[split], arrays, strict=True):
            path = folder / name
            if name in compressed:
                path.with_name(f"{name}.gz").write_bytes(gzip.compress(contents(values), mtime=0))
            else:
                path.write_bytes(contents(values))


def random_splits(seed=0, train=7, test=4, size=(3, 2), classes=2):
    """Images and labels of each split; every class is in the training split."""
    random = np.random.default_rng(seed)
    labels = {
        "train": np.arange(train) % classes,
        "test": random.integers(0, classes, test),
    }
    return {
        split: (random.integers(0, 256, (len(each), *size)).astype(np.uint8), each.astype(np.uint8))
        for split, each in labels.items()
    }


@settings(deadline=None, max_examples=30)
@given(
    st.builds(
        random_splits,
        seed=st.integers(0, 99),
        train=st.integers(300, 400),
        test=st.integers(1, 9),
        size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
        classes=st.integers(2, 256),
    ),
    st.sets(st.sampled_from([name for names in NAMES.values() for name in names])),
)
def test_the_files_are_read_as_written(splits, compressed):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), splits, compressed)
        dataset = load(IDX(path=folder, validation_fraction=0.0), "")
    for split, (images, labels) in splits.items():
        np.testing.assert_array_equal(dataset.splits[split].features, images[..., None])
        np.testing.assert_array_equal(dataset.splits[split].targets, labels)
        assert dataset.splits[split].targets.dtype == np.int32
    classes = splits["train"][1].max() + 1
    assert dataset.signature.classes == tuple(str(number) for number in range(classes))


def test_validation_is_held_out_from_training(tmp_path):
    write(tmp_path, random_splits(train=200))
    config = IDX(path=str(tmp_path), class_names=("shirt", "T-shirt/top"))
    dataset = load(config, "")
    assert dataset.signature.classes == ("shirt", "T-shirt/top")
    assert len(dataset.splits["test"]) == 4
    assert len(dataset.splits["train"]) + len(dataset.splits["validation"]) == 200
    assert len(dataset.splits["validation"]) > 5


IMAGES, LABELS = NAMES["train"]
WHOLE = contents(random_splits()["train"][0])


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (LABELS, None, f"must contain {LABELS} or {LABELS}.gz"),
        (IMAGES, b"", "begins with 00 00 08 03. Received: an empty file"),
        (IMAGES, b"\x00\x00\x0d" + WHOLE[3:], "08 03. Received: 00 00 0d 03"),
        (IMAGES, WHOLE[3::-1] + WHOLE[4:], "08 03. Received: 03 08 00 00"),
        (LABELS, WHOLE, "begins with 00 00 08 01. Received: 00 00 08 03"),
        (IMAGES, WHOLE[:10], "of unsigned bytes with 3 dimensions"),
        (IMAGES, WHOLE[:-1], r"42 bytes after .* complete file. Received: 41"),
        (IMAGES, WHOLE + b"\x00", r"42 bytes after .* complete file. Received: more"),
        (IMAGES, contents(np.zeros((7, 0, 2), np.uint8)), "has no pixels"),
        (IMAGES, contents(np.zeros((7, 3, 3), np.uint8)), r"one size. Received: \(3, 3\) for"),
        (LABELS, contents(np.zeros(6, np.uint8)), "Received: 7 images in .* and 6 labels in"),
        (LABELS, contents(np.zeros(7, np.uint8)), "labels of two or more classes"),
        (NAMES["test"][1], contents(np.full(30, 2, np.uint8)), "labels below 2, .* Received: 2"),
    ],
)
def test_wrong_file_is_a_user_error_of_one_line(tmp_path, name, content, expected):
    write(tmp_path, random_splits(test=30))
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=expected) as caught:
        load(IDX(path=str(tmp_path)), "")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [gzip.compress(WHOLE, mtime=0)[:-9], WHOLE])
def test_damaged_compressed_file(tmp_path, content):
    write(tmp_path, random_splits(), compressed=[IMAGES])
    (tmp_path / f"{IMAGES}.gz").write_bytes(content)
    with pytest.raises(UserError, match=rf"{IMAGES}.gz cannot be read .* complete file"):
        load(IDX(path=str(tmp_path)), "")


def test_label_without_a_name(tmp_path):
    write(tmp_path, random_splits(classes=3))
    with pytest.raises(UserError, match=r"labels below 2, .* data\.class_names .* Received: 2"):
        load(IDX(path=str(tmp_path), class_names=("no", "yes")), "")


@pytest.mark.parametrize("path", ["", "nowhere"])
def test_missing_folder(path):
    with pytest.raises(UserError, match=rf"must be a folder with IDX files\. Received: '{path}'"):
        load(IDX(path=path), "")


def test_images_that_do_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    write(tmp_path, random_splits())
    monkeypatch.setattr(
        memory.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 2 * 11 * 6 * 1.2})
    )
    with pytest.raises(UserError, match="GiB of memory"):
        load(IDX(path=str(tmp_path)), "")
