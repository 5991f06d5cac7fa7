import numpy as np
import pytest
from PIL import Image

from trainer.config import ImageFolder
from trainer.data.loading import load
from trainer.errors import UserError
from trainer.io import memory

RANDOM = np.random.default_rng(0)


def sizes(dataset):
    return {name: len(split) for name, split in dataset.splits.items()}


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


def test_images_that_do_not_fit_into_memory_are_refused_before_reading(tmp_path, monkeypatch):
    fill(tmp_path, {"night": 3, "day": 3})
    # Twice 6 images of 108 bytes against 80 % of what is free.
    available = type("Memory", (), {"available": 2 * 6 * 108 / 0.8 + 1})
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: available)
    load(ImageFolder(path=str(tmp_path), validation_fraction=0.0, test_fraction=0.4), "")
    available.available -= 2
    with pytest.raises(UserError, match=r"use a smaller data\.image_size"):
        load(ImageFolder(path=str(tmp_path)), "")
