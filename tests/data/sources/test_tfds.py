import os
from pathlib import Path

import numpy as np
import pytest

from tests.data.sources.comparison import assert_equal_datasets, batches
from trainer.compat.keras import tf
from trainer.config import TFDS
from trainer.data.loading import load
from trainer.data.records.examples import RecordExamples
from trainer.data.sources import tfds as source
from trainer.errors import UserError
from trainer.io import memory

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINER_CACHE_DIR", str(tmp_path / "cache"))


def sizes(dataset):
    return {name: len(split) for name, split in dataset.splits.items()}


def prepare(directory, image, file_format=None, shards=None):
    """A tiny set of dark and bright squares, prepared as TFDS itself would."""
    import tensorflow_datasets as tfds

    sides = [side or 9 for side in image.shape[:2]]

    class TinyShades(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """Dark and bright squares."""

        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            label = tfds.features.ClassLabel(names=["dark", "bright"])
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict({"image": image, "label": label})
            )

        def _split_generators(self, dl_manager):
            del dl_manager
            return {"train": self._generate_examples(80), "test": self._generate_examples(20)}

        def _generate_examples(self, count):
            for number in range(count):
                noise = RANDOM.integers(0, 40, (*sides, image.shape[-1]))
                pixels = (200 * (number % 2) + noise).astype(image.dtype.as_numpy_dtype)
                yield number, {"image": pixels, "label": number % 2}

    config = tfds.download.DownloadConfig(num_shards=shards)
    builder = TinyShades(data_dir=str(directory), file_format=file_format)
    builder.download_and_prepare(download_config=config)
    return str(directory)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    import tensorflow_datasets as tfds

    image = tfds.features.Image(shape=(6, 6, 3))
    return prepare(tmp_path_factory.mktemp("tfds"), image)


def test_a_prepared_set(prepared):
    dataset = load(TFDS(name="tiny_shades", validation_fraction=0.2), prepared)
    assert sizes(dataset)["test"] == 20
    assert sizes(dataset)["train"] + sizes(dataset)["validation"] == 80
    assert dataset.signature.classes == ("dark", "bright")
    for split in dataset.splits.values():
        np.testing.assert_array_equal(split.features.mean(axis=(1, 2, 3)) > 100, split.targets == 1)


def test_the_directory_may_come_from_the_environment(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", prepared)
    assert sizes(load(TFDS(name="tiny_shades"), ""))["test"] == 20


def test_images_of_any_size_are_resized(tmp_path):
    import tensorflow_datasets as tfds

    directory = prepare(tmp_path, tfds.features.Image(shape=(None, None, 1)))
    with pytest.raises(UserError, match="differ in size"):
        load(TFDS(name="tiny_shades"), directory)
    dataset = load(TFDS(name="tiny_shades", image_size=(4, 5)), directory)
    assert dataset.signature.stored_shape == (4, 5, 1)
    test = dataset.splits["test"]
    np.testing.assert_array_equal(test.features.mean(axis=(1, 2, 3)) > 100, test.targets == 1)


@pytest.mark.parametrize(
    ("channels", "dtype", "received"),
    [(4, np.uint8, "4 channels of uint8"), (1, np.uint16, "1 channels of uint16")],
)
def test_unsupported_images_are_refused(tmp_path, channels, dtype, received):
    import tensorflow_datasets as tfds

    image = tfds.features.Image(shape=(6, 6, channels), dtype=dtype, encoding_format="png")
    directory = prepare(tmp_path, image)
    with pytest.raises(UserError, match=received):
        load(TFDS(name="tiny_shades"), directory)


def test_a_damaged_set(tmp_path):
    import tensorflow_datasets as tfds

    directory = prepare(tmp_path, tfds.features.Image(shape=(6, 6, 3)))
    (record,) = tmp_path.rglob("*test.tfrecord*")
    record.write_bytes(record.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"tiny_shades, split test is corrupt"):
        load(TFDS(name="tiny_shades"), directory)


def test_slices_and_another_size(prepared):
    config = TFDS(
        name="tiny_shades",
        train_split="train[:50%]",
        validation_split="train[50%:75%]",
        image_size=(3, 4),
    )
    dataset = load(config, prepared)
    assert sizes(dataset) == {"train": 40, "validation": 20, "test": 20}
    assert dataset.signature.stored_shape == (3, 4, 3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"train_split": "trian"}, r"train, test\. Received: 'trian'"),
        ({"validation_split": "train[:10%]"}, "must share no example"),
        ({"test_split": "train[90%:]"}, "must share no example"),
    ],
)
def test_invalid_splits_are_refused(prepared, options, expected):
    with pytest.raises(UserError, match=expected):
        load(TFDS(name="tiny_shades", **options), prepared)


def test_a_set_that_is_not_prepared_names_both_ways_out(tmp_path):
    with pytest.raises(UserError) as caught:
        load(TFDS(name="mnist"), str(tmp_path))
    assert "--data_dir=DIR" in str(caught.value)
    assert f"tfds.load('mnist', data_dir='{tmp_path}')" in str(caught.value)


def test_an_unknown_set_names_the_nearest(tmp_path):
    with pytest.raises(UserError, match="did you mean 'mnist'"):
        load(TFDS(name="mnits"), str(tmp_path))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../mnist", "NAME/CONFIG"),
        ("huggingface:mnist", "NAME/CONFIG"),
        ("mnist/none", "BuilderConfig none not found"),
        ("zzzz_zzzz", "catalog"),
    ],
)
def test_unknown_names_are_refused(tmp_path, name, expected):
    with pytest.raises(UserError, match=expected) as caught:
        load(TFDS(name=name), str(tmp_path))
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((6, 6, 3), {}),
        ((None, None, 1), {"image_size": (4, 5)}),
        ((6, 6, 3), {"train_split": "train[10%:60%]", "validation_split": "train[70%:]"}),
    ],
    ids=["as stored", "resized", "slices"],
)
def test_both_residences_are_equal_bit_for_bit(tmp_path, shape, settings):
    import tensorflow_datasets as tfds

    directory = prepare(tmp_path, tfds.features.Image(shape=shape), shards=3)
    memory, disk = (
        load(TFDS(name="tiny_shades", residence=residence, **settings), directory)
        for residence in ("memory", "disk")
    )
    assert_equal_datasets(disk, memory)


def test_slices_are_those_of_tfds(tmp_path):
    import tensorflow_datasets as tfds

    directory = prepare(tmp_path, tfds.features.Image(shape=(6, 6, 3)), shards=3)
    config = TFDS(
        name="tiny_shades", train_split="train[7:61]", validation_fraction=0, residence="disk"
    )
    found = np.concatenate(list(load(config, directory).splits["train"].chunks()))
    read = tfds.load(
        "tiny_shades",
        data_dir=directory,
        split="train[7:61]",
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
    )
    np.testing.assert_array_equal(found, [each["image"] for each in read.as_numpy_iterator()])


def test_auto_reads_from_disk_what_does_not_fit(prepared, monkeypatch, capsys):
    monkeypatch.setattr(memory, "fits", lambda _: False)
    dataset = load(TFDS(name="tiny_shades"), prepared)
    assert isinstance(dataset.splits["train"], RecordExamples)
    assert capsys.readouterr().err.endswith("it is read from disk\n")


def test_labels_are_read_once(prepared, monkeypatch):
    for path in Path(prepared).rglob("*.tfrecord*"):
        os.utime(path, (1e9, 1e9))
    first = load(TFDS(name="tiny_shades", residence="disk"), prepared)

    def forbidden(*_):
        raise AssertionError("read again")

    monkeypatch.setattr(source, "_read_labels", forbidden)
    again = load(TFDS(name="tiny_shades", residence="disk"), prepared)
    for name, split in first.splits.items():
        np.testing.assert_array_equal(again.splits[name].targets, split.targets)


def test_a_changed_shard_is_named(tmp_path):
    import tensorflow_datasets as tfds

    directory = prepare(tmp_path, tfds.features.Image(shape=(6, 6, 3)))
    train = load(TFDS(name="tiny_shades", residence="disk"), directory).splits["train"]
    (path,) = tmp_path.rglob("*train.tfrecord*")
    os.utime(path, (1e9, 1e9))
    assert train.changed_files() == [str(path)]
    with pytest.raises(tf.errors.OpError, match="has changed since it was indexed"):
        batches(train)


def test_other_formats_are_read_into_memory(tmp_path):
    import tensorflow_datasets as tfds

    image = tfds.features.Image(shape=(6, 6, 3))
    directory = prepare(tmp_path, image, file_format="parquet")
    dataset = load(TFDS(name="tiny_shades"), directory)
    assert sizes(dataset)["test"] == 20
    test = dataset.splits["test"]
    np.testing.assert_array_equal(test.features.mean(axis=(1, 2, 3)) > 100, test.targets == 1)
    with pytest.raises(UserError, match="with file_format='tfrecord'; prepare it so"):
        load(TFDS(name="tiny_shades", residence="disk"), directory)


@pytest.mark.skipif(
    not os.path.isdir(os.path.join(os.environ.get("TFDS_DATA_DIR", ""), "mnist")),
    reason="TFDS_DATA_DIR holds no prepared mnist",
)
def test_real_mnist():
    dataset = load(TFDS(name="mnist"), "")
    assert sizes(dataset)["test"] == 10_000
    assert sizes(dataset)["train"] + sizes(dataset)["validation"] == 60_000
    counts = np.bincount(dataset.splits["test"].targets)
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
