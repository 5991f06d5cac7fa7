import os

import numpy as np
import pytest
from PIL import Image

from trainer.config.supervised import CSV, TFDS, Digits, ImageFolder
from trainer.errors import UserError
from trainer.supervised.data import memory
from trainer.supervised.data.load import load

RANDOM = np.random.default_rng(0)


def sizes(dataset):
    return {name: len(split.labels) for name, split in dataset.splits.items()}


def test_digits():
    dataset = load(Digits(), "")
    assert sum(sizes(dataset).values()) == 1797
    assert dataset.signature.shape == (8, 8, 1)
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
        np.testing.assert_array_equal(bright, split.labels == 0)


def test_an_image_folder_with_splits_and_another_size(tmp_path):
    for name, count in (("train", 9), ("validation", 3), ("test", 4)):
        fill(tmp_path / name, {"night": count, "day": count}, size=(12, 10))
    dataset = load(ImageFolder(path=str(tmp_path), image_size=(6, 5), channels=1), "")
    assert sizes(dataset) == {"train": 18, "validation": 6, "test": 8}
    assert dataset.signature.shape == (6, 5, 1)


def test_a_class_that_was_never_trained_on(tmp_path):
    fill(tmp_path / "train", {"night": 3, "day": 3})
    fill(tmp_path / "test", {"night": 3, "dusk": 3})
    with pytest.raises(UserError, match=r"day, night\. Received: 'dusk'"):
        load(ImageFolder(path=str(tmp_path)), "")


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    fill(tmp_path, {"night": 3, "day": 3})
    available = type("Memory", (), {"available": 100})
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: available)
    with pytest.raises(UserError, match=r"data\.image_size\. Received: 6 images of \(6, 6, 3\)"):
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
        np.testing.assert_array_equal(split.labels, (split.features[:, 0] * 2 % 3 == 0))


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
        (["1,2,x,0"] * 9, "amount,hour,note,fraud", "two classes or more"),
        (["1,2,3,0"], "amount,amount,note,fraud", "two columns of one name"),
        (["1,1e39,x,0", "1,2,x,1"], "amount,hour,note,fraud", "line 2, column 'hour'"),
        (["1,2,x,", "1,2,x,1"], "amount,hour,note,fraud", "line 2, column 'fraud'"),
        (['1,2,"x,0'], "amount,hour,note,fraud", "not CSV in UTF-8"),
    ],
)
def test_wrong_tables(tmp_path, rows, header, expected):
    path = table(tmp_path / "t.csv", rows, header)
    with pytest.raises(UserError, match=expected):
        load(CSV(path=path, label="fraud", ignore=("note",)), "")


def test_a_byte_order_mark_is_no_part_of_a_header(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(
        ("\ufeff" + "amount,fraud\n" + "\n".join(f"{n},{n % 2}" for n in range(100))).encode()
    )
    assert load(CSV(path=str(path), label="fraud"), "").signature.columns == ("amount",)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A directory with a tiny set, prepared as TFDS itself would."""
    import tensorflow_datasets as tfds

    class TinyShades(tfds.core.GeneratorBasedBuilder):
        """Dark and bright squares."""

        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(shape=(6, 6, 3)),
                        "label": tfds.features.ClassLabel(names=["dark", "bright"]),
                    }
                ),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager):
            del dl_manager
            return {"train": self._generate_examples(80), "test": self._generate_examples(20)}

        def _generate_examples(self, count):
            for number in range(count):
                shade = 200 * (number % 2)
                pixels = (shade + RANDOM.integers(0, 40, (6, 6, 3))).astype(np.uint8)
                yield number, {"image": pixels, "label": number % 2}

    directory = tmp_path_factory.mktemp("tfds")
    TinyShades(data_dir=str(directory)).download_and_prepare()
    return str(directory)


def test_a_prepared_set(prepared):
    dataset = load(TFDS(name="tiny_shades", validation_fraction=0.2), prepared)
    assert sizes(dataset)["test"] == 20
    assert sizes(dataset)["train"] + sizes(dataset)["validation"] == 80
    assert dataset.signature.classes == ("dark", "bright")
    for split in dataset.splits.values():
        np.testing.assert_array_equal(split.features.mean(axis=(1, 2, 3)) > 100, split.labels == 1)


def test_the_directory_may_come_from_the_environment(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", prepared)
    assert sizes(load(TFDS(name="tiny_shades"), ""))["test"] == 20


def test_slices_and_another_size(prepared):
    config = TFDS(
        name="tiny_shades",
        train_split="train[:50%]",
        validation_split="train[50%:75%]",
        image_size=(3, 4),
    )
    dataset = load(config, prepared)
    assert sizes(dataset) == {"train": 40, "validation": 20, "test": 20}
    assert dataset.signature.shape == (3, 4, 3)


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
    assert "tfds build mnist" in str(caught.value)


def test_an_unknown_set_names_the_nearest(tmp_path):
    with pytest.raises(UserError, match="Did you mean 'mnist'"):
        load(TFDS(name="mnits"), str(tmp_path))


@pytest.mark.skipif(
    not os.path.isdir(os.path.join(os.environ.get("TFDS_DATA_DIR", ""), "mnist")),
    reason="TFDS_DATA_DIR holds no prepared mnist",
)
def test_real_mnist():
    dataset = load(TFDS(name="mnist"), "")
    assert sizes(dataset)["test"] == 10_000
    assert sizes(dataset)["train"] + sizes(dataset)["validation"] == 60_000
    counts = np.bincount(dataset.splits["test"].labels)
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
