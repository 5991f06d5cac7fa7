import os

import numpy as np
import pytest
from PIL import Image

from trainer.config import CSV, TFDS, Digits, ImageFolder
from trainer.data.loading import load
from trainer.data.sources.csv_reader import read_rows
from trainer.errors import UserError
from trainer.io import memory

RANDOM = np.random.default_rng(0)


def sizes(dataset):
    return {name: len(split) for name, split in dataset.splits.items()}


def test_digits():
    dataset = load(Digits(), "")
    assert sum(sizes(dataset).values()) == 1797
    assert dataset.signature.stored_shape == (8, 8, 1)
    assert dataset.signature.classes == tuple("0123456789")
    train = dataset.splits["train"]
    assert train.features.dtype == np.uint8
    assert train.features.max() == 255
    assert dataset.signature.scale == (1 / 255,)


def test_splits_are_the_same_every_time_and_change_with_their_seed():
    first, again = load(Digits(), ""), load(Digits(), "")
    other = load(Digits(split_seed=1), "")
    for name in first.splits:
        np.testing.assert_array_equal(first.splits[name].features, again.splits[name].features)
    assert sizes(first) != sizes(other)


def draw(path, shade, size=(6, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(shade + RANDOM.integers(0, 40, (*size, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def fill(folder, counts, **options):
    for name, count in counts.items():
        for number in range(count):
            draw(folder / name / f"{number:03}.png", 200 if name == "day" else 0, **options)


def test_an_image_folder_without_splits(tmp_path):
    fill(tmp_path, {"night": 60, "day": 40})
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "day" / "notes.txt").write_text("not an image")
    dataset = load(ImageFolder(path=str(tmp_path)), "")
    assert dataset.signature.classes == ("day", "night")
    assert sum(sizes(dataset).values()) == 100
    for split in dataset.splits.values():
        bright = split.features.mean(axis=(1, 2, 3)) > 100
        np.testing.assert_array_equal(bright, split.targets == 0)


def test_an_image_folder_with_splits_and_another_size(tmp_path):
    for name, count in (("train", 9), ("validation", 3), ("test", 4)):
        fill(tmp_path / name, {"night": count, "day": count}, size=(12, 10))
    dataset = load(ImageFolder(path=str(tmp_path), image_size=(6, 5), channels=1), "")
    assert sizes(dataset) == {"train": 18, "validation": 6, "test": 8}
    assert dataset.signature.stored_shape == (6, 5, 1)


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("train", "valid"), "Did you mean 'validation'"),
        (("validation", "test"), "must have a folder 'train'"),
    ],
)
def test_folders_that_are_no_splits(tmp_path, folders, expected):
    for name in folders:
        fill(tmp_path / name, {"night": 3, "day": 3})
    with pytest.raises(UserError, match=expected):
        load(ImageFolder(path=str(tmp_path)), "")


def test_a_class_that_was_never_trained_on(tmp_path):
    fill(tmp_path / "train", {"night": 3, "day": 3})
    fill(tmp_path / "test", {"night": 3, "dusk": 3})
    with pytest.raises(UserError, match=r"day, night\. Received: 'dusk'"):
        load(ImageFolder(path=str(tmp_path)), "")


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    fill(tmp_path, {"night": 3, "day": 3})
    # Twice 6 images of 108 bytes against 80 % of what is free.
    available = type("Memory", (), {"available": 2 * 6 * 108 / 0.8 + 1})
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: available)
    load(ImageFolder(path=str(tmp_path), validation_fraction=0.0, test_fraction=0.4), "")
    available.available -= 2
    with pytest.raises(UserError, match=r"use a smaller data\.image_size"):
        load(ImageFolder(path=str(tmp_path)), "")


def table(path, rows, header="amount,hour,note,fraud"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


ROWS = [f"{number * 0.5},{number % 24},text {number},{number % 3 == 0:d}" for number in range(200)]


def test_a_table(tmp_path):
    path = table(tmp_path / "t.csv", ROWS)
    dataset = load(CSV(path=path, label="fraud", ignore=("note",)), "")
    assert dataset.signature.columns == ("amount", "hour")
    assert dataset.signature.classes == ("0", "1")
    train = dataset.splits["train"]
    normalized = (train.features - dataset.signature.offset) * dataset.signature.scale
    np.testing.assert_allclose(normalized.mean(axis=0), 0, atol=1e-5)
    for split in dataset.splits.values():
        np.testing.assert_array_equal(split.targets, (split.features[:, 0] * 2 % 3 == 0))


def test_a_table_with_its_own_test_table(tmp_path):
    path = table(tmp_path / "t.csv", ROWS)
    test_path = table(tmp_path / "test.csv", ROWS[:7])
    config = CSV(path=path, test_path=test_path, label="fraud", ignore=("note",))
    dataset = load(config, "")
    assert sizes(dataset)["test"] == 7
    assert sizes(dataset)["train"] + sizes(dataset)["validation"] == 200
    unknown = table(tmp_path / "test.csv", ["1,2,x,7"])
    with pytest.raises(UserError, match=r"line 2, column 'fraud'.*0, 1\. Received: '7'"):
        load(CSV(path=path, test_path=unknown, label="fraud", ignore=("note",)), "")


def test_integer_classes_are_in_numeric_order(tmp_path):
    path = table(tmp_path / "t.csv", [f"{n},{n * n % 97},x,{n % 12}" for n in range(300)])
    dataset = load(CSV(path=path, label="fraud", ignore=("note",)), "")
    assert dataset.signature.classes == tuple(str(number) for number in range(12))


@pytest.mark.parametrize(
    ("rows", "header", "expected"),
    [
        (["1,2,x,0"] * 9, "amount,hour,note,fraud", "at least two classes"),
        (["1,2,3,0"], "amount,amount,note,fraud", "distinct name per column"),
        (["1,1e39,x,0", "1,2,x,1"], "amount,hour,note,fraud", "line 2, column 'hour'"),
        (["1,2,x,", "1,2,x,1"], "amount,hour,note,fraud", "line 2, column 'fraud'"),
        (["1,2,x,0"], "amount,,note,fraud", "Received: '' for column 2"),
        (["²,2,x,0", "1,2,x,1"], "amount,hour,note,fraud", "line 2, column 'amount'"),
        (['1,2,"x,0'], "amount,hour,note,fraud", "not a CSV file in UTF-8"),
    ],
)
def test_wrong_tables(tmp_path, rows, header, expected):
    path = table(tmp_path / "t.csv", rows, header)
    with pytest.raises(UserError, match=expected):
        load(CSV(path=path, label="fraud", ignore=("note",)), "")


def test_a_table_that_does_not_fit_into_memory(tmp_path, monkeypatch):
    path = table(tmp_path / "t.csv", ROWS)
    available = type("Memory", (), {"available": 1000})
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: available)
    with pytest.raises(UserError, match=r"use fewer rows"):
        load(CSV(path=path, label="fraud", ignore=("note",)), "")


def test_classes_that_only_look_like_integers(tmp_path):
    path = table(tmp_path / "t.csv", [f"{n},{n % 7},x,{'²' if n % 2 else '10'}" for n in range(99)])
    dataset = load(CSV(path=path, label="fraud", ignore=("note",)), "")
    assert dataset.signature.classes == ("10", "²")


def test_minus_zero_is_zero(tmp_path):
    path = table(tmp_path / "t.csv", ["-0.0,-1e-60,x,0"])
    assert not np.signbit(read_rows(path).numbers(("amount", "hour"))).any()


def test_a_byte_order_mark_is_no_part_of_a_header(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(
        ("\ufeff" + "amount,fraud\n" + "\n".join(f"{n},{n % 2}" for n in range(100))).encode()
    )
    assert load(CSV(path=str(path), label="fraud"), "").signature.columns == ("amount",)


def prepare(directory, image):
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

    TinyShades(data_dir=str(directory)).download_and_prepare()
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
def test_images_that_no_network_here_takes(tmp_path, channels, dtype, received):
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
def test_splits_that_cannot_be(prepared, options, expected):
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
def test_names_that_are_none(tmp_path, name, expected):
    with pytest.raises(UserError, match=expected) as caught:
        load(TFDS(name=name), str(tmp_path))
    assert repr(name) in str(caught.value)


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
