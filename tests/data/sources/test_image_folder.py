"""Folders of images: in memory and on disk alike, and what is wrong with them."""

import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.data.sources.comparison import assert_equal, assert_equal_datasets, batches
from trainer.compat.keras import tf
from trainer.config import ImageFolder
from trainer.data import decoded_cache, image_files
from trainer.data.loading import find_source, load
from trainer.errors import UserError
from trainer.io import memory

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TRAINER_CACHE_DIR", str(folder))
    return folder


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
    settings = {"residence": "memory", "validation_fraction": 0.0, "test_fraction": 0.4}
    load(config(tmp_path, **settings), "")
    available.available -= 2
    with pytest.raises(UserError, match=r"use a smaller data\.image_size"):
        load(config(tmp_path, **settings), "")


# What follows compares residences, and looks for planted defects.


def encoded(number, size=(6, 5), form="PNG", **options):
    pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def write_classes(folder, count=40, classes=("a", "b"), **options):
    """Images in turn in the folders of classes; returns the folder."""
    for number in range(count):
        path = folder / classes[number % len(classes)] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(number, **options))
    return folder


def write_labelled(folder, header, rows, count=None):
    """A labels file, and an image for each of the first rows."""
    for number, row in enumerate(rows[:count]):
        path = folder / row[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(number))
    lines = [",".join(map(str, row)) for row in (header, *rows)]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def config(folder, **settings):
    return ImageFolder(path=str(folder), **{"residence": "disk", **settings})


def assert_one_line(caught):
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("decoded_cache", [False, True], ids=["files", "decoded"])
@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({}, {}),
        ({"form": "JPEG"}, {"channels": 1}),
        ({"form": "GIF"}, {"image_size": (4, 4)}),
        ({"size": (20, 30), "form": "JPEG"}, {"image_size": (7, 9)}),
    ],
    ids=["png", "jpeg", "gif", "resized"],
)
def test_both_residences_are_equal_bit_for_bit(tmp_path, options, settings, decoded_cache):
    folder = write_classes(tmp_path / "images", 60, **options)
    memory = load(config(folder, residence="memory", **settings), "")
    disk = load(config(folder, decoded_cache=decoded_cache, **settings), "")
    assert_equal_datasets(disk, memory)


@pytest.mark.parametrize("residence", ["memory", "disk"])
def test_pixels_and_classes_are_those_of_the_files(tmp_path, residence):
    for name, count in (("train", 40), ("test", 9)):
        write_classes(tmp_path / name, count)
    dataset = load(config(tmp_path, residence=residence, validation_fraction=0), "")
    for name, count in (("train", 40), ("test", 9)):
        numbers = [*range(0, count, 2), *range(1, count, 2)]
        pixels = np.concatenate(list(dataset.splits[name].chunks()))
        expected = [np.asarray(Image.open(io.BytesIO(encoded(n)))) for n in numbers]
        np.testing.assert_array_equal(pixels, expected)
        np.testing.assert_array_equal(dataset.splits[name].targets, np.array(numbers) % 2)


def plant(folder, kind):
    """Images of two classes, one of which has a defect; returns settings."""
    write_classes(folder)
    broken = folder / "b" / "999.png"
    outside = folder.parent / "outside.png"
    outside.write_bytes(encoded(99))
    match kind:
        case "empty":
            broken.write_bytes(b"")
        case "text":
            broken.write_text("not an image")
        case "truncated png":
            broken.write_bytes(encoded(0)[:-12])
        case "truncated jpeg":
            broken.write_bytes(encoded(0, (60, 50), "JPEG")[:-300])
        case "huge":
            Image.new("1", (20_000, 20_000)).save(broken)
        case "pipe":
            os.mkfifo(broken)
        case "folder":
            broken.mkdir()
        case "dangling link":
            broken.symlink_to("none.png")
        case "link to outside":
            broken.symlink_to(outside)
        case "link to elsewhere":
            broken.symlink_to("/none.png")
        case "other size":
            broken.write_bytes(encoded(0, (9, 9)))
        case "one class":
            shutil.rmtree(folder / "a")
        case "empty class":
            (folder / "c").mkdir()
        case "name":
            open(os.fsencode(folder / "b") + b"/\xff.png", "wb").close()
        case "no group":
            return {"group": "patient"}
        case "invalid group":
            return {"group": "patient("}
        case "group not found":
            return {"group": r"(\d\d\d)\.jpg"}
        case "optional group":
            return {"group": r"(x)?\.png"}
    return {}


DEFECTS = {
    "empty": r"image .*999.png cannot be read \(0 bytes",
    "text": "image .*999.png cannot be read",
    "truncated png": "image .*999.png cannot be read",
    "truncated jpeg": "image .*999.png cannot be read",
    "huge": "image .*999.png has more than 100,000,000 pixels",
    "pipe": "no such file: .*999.png",
    "folder": "no such file: .*999.png",
    "dangling link": "no such file: .*999.png",
    "link to outside": "999.png must not be a link to outside",
    "link to elsewhere": "999.png must not be a link to outside",
    "other size": r"set data.image_size.*\(6, 5\) and \(9, 9\) in .*999.png",
    "one class": "at least two classes. Received: b",
    "empty class": "class folder .*c' contains no image",
    "name": "names of files in .* must be UTF-8",
    "no group": "data.group must have a group in parentheses",
    "invalid group": "data.group must be a regular expression",
    "group not found": "data.group must be found in the path .* not in a/000.png",
    "optional group": "data.group must be found in the path",
}
# These are not of one image, or not of its contents.
SKIPPED = tuple(DEFECTS)[:8]


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_defect_is_named_in_one_line(tmp_path, kind):
    settings = plant(tmp_path / "images", kind)
    for residence in ("memory", "disk"):
        with pytest.raises(UserError, match=DEFECTS[kind]) as caught:
            load(config(tmp_path / "images", residence=residence, **settings), "")
        assert_one_line(caught)
        remedy = "; data.on_error=skip leaves it out"
        assert str(caught.value).endswith(remedy) == (kind in SKIPPED)


@pytest.mark.parametrize("kind", SKIPPED)
def test_a_defect_is_skipped(tmp_path, kind, capsys):
    plant(tmp_path / "images", kind)
    dataset = load(config(tmp_path / "images", on_error="skip"), "")
    ((path, reason),) = dataset.skipped
    assert path == str(tmp_path / "images" / "b" / "999.png")
    assert capsys.readouterr().err == f"broken inputs left out: 1; the first: {reason}\n"
    whole = load(config(write_classes(tmp_path / "whole")), "")
    assert dataset.signature == whole.signature
    assert_equal(batches(dataset.splits["train"]), batches(whole.splits["train"]))


def test_a_class_of_broken_images_cannot_be_skipped(tmp_path):
    write_classes(tmp_path)
    for path in (tmp_path / "b").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"no image of class 'b' can be used; the first: .*001"):
        load(config(tmp_path, on_error="skip"), "")


def test_linked_folders_are_read(tmp_path):
    whole = load(config(write_classes(tmp_path / "real")), "")
    (tmp_path / "classes").mkdir()
    (tmp_path / "classes" / "a").symlink_to(tmp_path / "real" / "a")
    shutil.copytree(tmp_path / "real" / "b", tmp_path / "classes" / "b")
    # Inside of the folder, and of the linked folder of a class.
    (tmp_path / "classes" / "b" / "more.png").symlink_to("001.png")
    (tmp_path / "real" / "a" / "more.png").symlink_to("000.png")
    linked = load(config(tmp_path / "classes"), "")
    assert sum(sizes(linked).values()) == sum(sizes(whole).values()) + 2
    (tmp_path / "link").symlink_to(tmp_path / "real")
    again = load(config(tmp_path / "link"), "")
    assert sum(sizes(again).values()) == 41


@pytest.mark.parametrize(
    ("header", "cells", "settings", "kind", "classes", "targets"),
    [
        ("file,label", "{0}", {}, "classification", ("0", "1", "2"), lambda n: n % 3),
        (
            "file,grade,other",
            "{1},x",
            {"label": "grade"},
            "classification",
            ("a", "b", "c"),
            lambda n: n % 3,
        ),
        (
            "other,file,b,a",
            "{2}",
            {"labels": ("a", "b")},
            "multi_label",
            ("a", "b"),
            lambda n: [n % 2, n % 3 == 0],
        ),
        (
            "file,label",
            "{3}",
            {"target": "multi_label"},
            "multi_label",
            ("u", "v"),
            lambda n: [n % 3 > 0, n % 3 == 2],
        ),
        (
            "file,label",
            "{4}",
            {"target": "regression"},
            "regression",
            ("label",),
            lambda n: [n / 4],
        ),
        (
            "file,x,y",
            "{4},{0}",
            {"labels": ("y", "x"), "target": "regression"},
            "regression",
            ("y", "x"),
            lambda n: [n % 3, n / 4],
        ),
    ],
    ids=["numbers", "names", "columns", "lists", "value", "values"],
)
def test_a_labels_file(tmp_path, header, cells, settings, kind, classes, targets):
    names = header.split(",")
    rows = []
    for n in range(40):
        label = cells.format(n % 3, "abc"[n % 3], "", ["", "u", "u; v"][n % 3], n / 4)
        file = f"deep/er/{n:02}.png"
        if names[0] == "other":
            rows.append(("x", file, int(n % 3 == 0), n % 2))
        else:
            rows.append((file, label))
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(encoded(n))
    # The order of the files is that of the table, which may have spaces and a byte order mark.
    text = "\n".join(" , ".join(map(str, row)) for row in rows[::-1])
    (tmp_path / "labels.csv").write_text(f"{header}\n\n{text}\n", encoding="utf-8-sig")
    expected = np.array([targets(n) for n in reversed(range(40))])
    for residence in ("memory", "disk"):
        source = find_source(config(tmp_path))(
            config(tmp_path, labels_file="labels.csv", residence=residence, **settings), ""
        )
        assert (source.target, source.classes) == (kind, classes)
        train = source.splits["train"]
        np.testing.assert_array_equal(train.targets, expected)
        dtype = np.int32 if kind == "classification" else np.float32
        assert train.targets.dtype == dtype
        pixels, found = train.at(tf.constant([3, 0], tf.int64))
        np.testing.assert_array_equal(found, expected[[3, 0]])
        np.testing.assert_array_equal(pixels[1], Image.open(io.BytesIO(encoded(39))))


ROWS = [(f"{n:02}.png", n % 2) for n in range(40)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("/etc/passwd", 0), "line 42, column 'file' must be a path relative to"),
        (("../x.png", 0), "line 42, column 'file' must be a path relative to"),
        (("a/../01.png", 0), "line 42, column 'file' must be a path relative to"),
        (("gs://b/x.png", 0), "line 42, column 'file' must be a path relative to"),
        (("", 0), "line 42, column 'file' must be a path relative to .* Received: ''"),
        ((".", 0), "line 42, column 'file' must be a path relative to"),
        (("a\0.png", 0), "(line 42, column 'file' must be a path relative to|is not CSV)"),
        (("link.png", 0), "line 42 must name a file inside of .*'link.png', which is a link"),
        (("linked/x.png", 0), "line 42 must name a file inside of .*, which is a link"),
        (("none.png", 0), "line 42: no such file: .*none.png; data.on_error=skip"),
        (("./01.png", 0), "line 42 must name another file than line 3"),
        (("broken.png", 0), "line 42: the image .*broken.png cannot be read"),
        (("x.png",), "line 42 must have as many cells as the header, 2. Received: 1"),
        (("x.png", 0, 0), "line 42 must have as many cells as the header, 2. Received: 3"),
        (('"x"y.png', 0), "line 42 is not CSV"),
        (("x.png", ""), "line 42, column 'label' must not be empty"),
        (("x.png", 0.5), "line 42, column 'label' must be a class"),
    ],
    ids=[
        "absolute", "parent", "inner parent", "bucket", "empty", "folder", "nul", "link",
        "linked folder", "missing", "twice", "broken", "short", "long", "quotes", "no label",
        "number",
    ],
)  # fmt: skip
def test_a_wrong_row_is_named_in_one_line(tmp_path, row, message):
    folder = write_labelled(tmp_path / "images", ("file", "label"), [*ROWS, row], len(ROWS))
    for place in (tmp_path / "x.png", folder / "x.png"):
        place.write_bytes(encoded(99))
    (folder / "broken.png").write_bytes(b"broken")
    (folder / "link.png").symlink_to(tmp_path / "x.png")
    (folder / "linked").symlink_to(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        load(config(folder, labels_file="labels.csv"), "")
    assert_one_line(caught)


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("name,label\n", {}, "unknown column of .*labels.csv.*Received: 'file'"),
        ("file,lable\n", {}, "unknown column of .*Did you mean 'lable'"),
        ("file,label,file\n", {}, "must have one column 'file'"),
        ("", {}, "labels.csv must begin with the headers of its columns"),
        ("file,label\n", {}, "must have a row per image"),
        ("file,label\n\xff", {}, "must be UTF-8"),
        ("file,label\n", {"labels_file": "none.csv"}, "no such file: .*none.csv"),
        ("file,label\n", {"labels_file": "../labels.csv"}, "must be a path in data.path"),
        ("file,label\n", {"labels": ("label", "b")}, "unknown column of .*Received: 'b'"),
    ],
    ids=["file", "label", "twice", "nothing", "empty", "latin", "missing", "outside", "labels"],
)
def test_a_wrong_labels_file_is_named_in_one_line(tmp_path, text, settings, message):
    (tmp_path / "labels.csv").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=message) as caught:
        load(config(tmp_path, **{"labels_file": "labels.csv", **settings}), "")
    assert_one_line(caught)


def test_missing_and_broken_files_of_a_table_are_skipped(tmp_path):
    rows = [("none.png", 1), *ROWS, ("broken.png", 0)]
    folder = write_labelled(tmp_path, ("file", "label"), rows)
    (folder / "none.png").unlink()
    (folder / "broken.png").write_bytes(b"broken")
    dataset = load(config(folder, labels_file="labels.csv", on_error="skip"), "")
    assert [os.path.basename(path) for path, _ in dataset.skipped] == ["none.png", "broken.png"]
    assert "line 2: no such file" in dataset.skipped[0][1]
    assert sum(sizes(dataset).values()) == 40


@pytest.mark.parametrize("target", ["multi_label", "regression"])
def test_folders_of_classes_have_no_other_target(tmp_path, target):
    with pytest.raises(UserError, match="needs labels_file"):
        config(tmp_path, target=target).validate()


def test_images_of_a_group_are_held_out_together(tmp_path):
    rows = [(f"patient{n // 5}/{n:03}.png", n % 2) for n in range(150)]
    folder = write_labelled(tmp_path, ("file", "label"), rows)
    settings = {"labels_file": "labels.csv", "group": r"patient(\d+)/"}
    source = find_source(config(folder))(config(folder, **settings), "")
    assert source.groups == [str(n // 5).encode() for n in range(150)]
    identities = source.splits["train"].identities()
    numbers = {identity: n for n, identity in enumerate(identities)}
    groups = {}
    for name, split in load(config(folder, **settings), "").splits.items():
        numbers = {
            bytes(identity): n for n, identity in enumerate(source.splits["train"].identities())
        }
        groups[name] = {numbers[bytes(identity)] // 5 for identity in split.identities()}
    assert sum(map(len, groups.values())) == 30
    assert all(groups.values())


def old(folder):
    """Sets all times of change to the past: what changed a moment ago is not kept."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (1e9, 1e9))


def test_an_index_is_built_once_and_again_if_a_file_changes(tmp_path, monkeypatch):
    folder = write_classes(tmp_path / "images")
    old(folder)
    first = load(config(folder), "")

    def forbidden(*_):
        raise AssertionError("measured again")

    with monkeypatch.context() as patch:
        patch.setattr(image_files, "_measure", forbidden)
        again = load(config(folder), "")
    assert_equal(batches(again.splits["train"]), batches(first.splits["train"]))
    changed = folder / "a" / "000.png"
    size = changed.stat().st_size
    changed.write_bytes(encoded(0)[:-1] + b"x")
    assert changed.stat().st_size == size
    os.utime(changed, (1e9 + 1, 1e9 + 1))
    with pytest.raises(UserError, match=r"000\.png cannot be read"):
        load(config(folder), "")
    changed.unlink()
    assert sum(sizes(load(config(folder), "")).values()) == 39


def test_files_with_equal_names_sizes_and_times_in_another_folder_are_read(tmp_path):
    found = []
    for name, number in (("one", 0), ("two", 500)):
        for place in range(40):
            path = tmp_path / name / "ab"[place % 2] / f"{place}.bmp"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(place + number, form="BMP"))
        old(tmp_path / name)
        found.append(load(config(tmp_path / name), "").splits["train"].digest())
    assert found[0] != found[1]


@pytest.mark.parametrize("decoded_cache", [False, True], ids=["files", "decoded"])
def test_changed_files_are_named(tmp_path, decoded_cache):
    folder = write_classes(tmp_path / "images")
    dataset = load(config(folder, decoded_cache=decoded_cache), "")
    assert [split.changed_files() for split in dataset.splits.values()] == [[]] * 3
    (folder / "a" / "000.png").unlink()
    (folder / "b" / "001.png").write_bytes(encoded(0, (99, 99)))
    os.utime(folder / "a" / "002.png", (1e9, 1e9))
    found = [path for split in dataset.splits.values() for path in split.changed_files()]
    expected = ["a/000.png", "a/002.png", "b/001.png"]
    assert sorted(found) == [str(folder / name) for name in expected]


def test_decoded_images_are_written_once(tmp_path, cache, monkeypatch, capsys):
    folder = write_classes(tmp_path / "images")
    first = load(config(folder, decoded_cache=True), "")
    (path,) = cache.glob("*.pixels")
    assert path.stat().st_size == 40 * 6 * 5 * 3
    assert capsys.readouterr().err == f"writing decoded images to {path} (0.0 GiB)\n"

    def forbidden(*_):
        raise AssertionError("decoded again")

    with monkeypatch.context() as patch:
        patch.setattr(decoded_cache, "_write", forbidden)
        again = load(config(folder, decoded_cache=True), "")
    assert_equal(batches(again.splits["train"]), batches(first.splits["train"]))
    # A file that another process left unfinished has another name, a damaged one is replaced.
    path.write_bytes(path.read_bytes()[:-1])
    again = load(config(folder, decoded_cache=True), "")
    assert path.stat().st_size == 40 * 6 * 5 * 3
    # Another size or other images have files of their own.
    load(config(folder, decoded_cache=True, image_size=(3, 3)), "")
    (folder / "a" / "more.png").write_bytes(encoded(1000))
    load(config(folder, decoded_cache=True), "")
    assert len(list(cache.glob("*.pixels"))) == 3
    path.unlink()
    assert again.splits["train"].changed_files() == [str(path)]


def test_decoded_images_that_cannot_be_written_are_named_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRAINER_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match=r"decoded images cannot be written .*TRAINER_CACHE_DIR"):
        load(config(write_classes(tmp_path / "images"), decoded_cache=True), "")


def test_auto_reads_from_disk_what_does_not_fit(tmp_path, monkeypatch, capsys):
    write_classes(tmp_path)
    load(config(tmp_path, residence="auto"), "")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(memory, "fits", lambda needed: needed < 40 * 6 * 5 * 3)
    load(config(tmp_path, residence="auto"), "")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path} needs 0.0 GiB of memory")
