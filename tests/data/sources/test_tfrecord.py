"""TFRecord shards: in memory and on disk alike, and what is wrong with them."""

import dataclasses
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.data.sources.comparison import assert_equal, assert_equal_datasets, batches
from trainer.compat.keras import tf
from trainer.config import TFRecord
from trainer.data.loading import load
from trainer.data.records.examples import RecordExamples
from trainer.data.sources import tfrecord as source
from trainer.errors import UserError

RANDOM = np.random.default_rng(0)
RESIDENCES = ("memory", "disk")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINER_CACHE_DIR", str(tmp_path / "cache"))


def feature(value):
    """A list of ints, floats or bytes."""
    values = value if isinstance(value, list) else [value]
    if all(isinstance(each, int) for each in values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    if all(isinstance(each, float) for each in values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def record(**features):
    """Equal features give equal bytes, and so equal splits."""
    made = {name: feature(value) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString(
        deterministic=True
    )


def encoded(number, size=(6, 5), form="PNG"):
    random = np.random.default_rng(number)
    buffer = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(buffer, form)
    return buffer.getvalue()


def write(path, records, shards=1, options=None):
    """Shards `path-00000` etc.; a single one is `path` itself."""
    for shard in range(shards):
        name = f"{path}-{shard:05d}" if shards > 1 else str(path)
        with tf.io.TFRecordWriter(name, options) as writer:
            for each in records[shard::shards]:
                writer.write(each)
    return f"{path}-*" if shards > 1 else str(path)


def images(count, **options):
    return [record(image=encoded(n, **options), label=n % 3) for n in range(count)]


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({}, {}),
        ({"form": "JPEG"}, {"channels": 1}),
        ({"form": "TIFF"}, {"image_size": (4, 4)}),
        ({"size": (20, 30), "form": "JPEG"}, {"image_size": (7, 9)}),
    ],
    ids=["png", "jpeg", "tiff", "resized"],
)
def test_both_residences_are_equal_bit_for_bit(tmp_path, options, settings):
    path = write(tmp_path / "train", images(60, **options), shards=3)
    memory, disk = (
        load(TFRecord(path=path, residence=residence, **settings), "") for residence in RESIDENCES
    )
    assert_equal_datasets(disk, memory)


def test_decoded_images_are_equal_bit_for_bit(tmp_path):
    path = write(tmp_path / "train", images(60, size=(20, 30), form="JPEG"), shards=3)
    plain = TFRecord(path=path, residence="disk", image_size=(7, 9))
    read, kept = (
        load(config, "") for config in (plain, dataclasses.replace(plain, decoded_cache=True))
    )
    assert len(list((tmp_path / "cache").glob("*.pixels"))) == 1
    for name, split in read.splits.items():
        assert split.digest() == kept.splits[name].digest()
    assert_equal(batches(kept.splits["train"]), batches(read.splits["train"]))
    with pytest.raises(UserError, match="decoded_cache needs image"):
        load(TFRecord(path=path, image="", columns=("x",), decoded_cache=True), "")


@pytest.mark.parametrize("residence", RESIDENCES)
def test_pixels_and_labels_are_those_of_the_records(tmp_path, residence):
    path = write(tmp_path / "train", images(40))
    test = write(tmp_path / "test", images(9))
    config = TFRecord(path=path, test_path=test, residence=residence, validation_fraction=0)
    dataset = load(config, "")
    assert dataset.signature.classes == ("0", "1", "2")
    assert dataset.signature.stored_shape == (6, 5, 3)
    for name, count in (("train", 40), ("test", 9)):
        pixels = np.concatenate(list(dataset.splits[name].chunks()))
        expected = [np.asarray(Image.open(io.BytesIO(encoded(n)))) for n in range(count)]
        np.testing.assert_array_equal(pixels, expected)
        np.testing.assert_array_equal(dataset.splits[name].targets, np.arange(count) % 3)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_records_of_any_shards_come_in_order(tmp_path, sizes, data):
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    size = sum(sizes)
    number = st.floats(width=32, allow_nan=False, allow_infinity=False)
    values = np.array(data.draw(st.lists(number, min_size=size, max_size=size)), np.float32)
    last = np.cumsum(sizes)
    for shard, end in enumerate(last):
        part = range(end - sizes[shard], end)
        write(folder / f"{shard}", [record(x=float(values[n]), label=float(n)) for n in part])
    config = TFRecord(path=str(folder), image="", columns=("x",), target="regression")
    positions = tf.constant(data.draw(st.lists(st.integers(0, size - 1), max_size=9)), tf.int64)
    for residence in RESIDENCES:
        train = source.load(dataclasses.replace(config, residence=residence), "").splits["train"]
        np.testing.assert_array_equal(np.concatenate(list(train.chunks()))[:, 0], values)
        features, targets = train.at(positions)
        np.testing.assert_array_equal(features[:, 0], values[positions])
        np.testing.assert_array_equal(targets[:, 0], positions)


@pytest.mark.parametrize("residence", RESIDENCES)
def test_splits_may_store_columns_as_other_types(tmp_path, residence):
    rows = [record(a=n / 2, label=n % 2) for n in range(50)]
    config = TFRecord(
        path=write(tmp_path / "train", rows),
        test_path=write(tmp_path / "test", [record(a=n, label=n % 2) for n in range(9)]),
        image="",
        columns=("a",),
        normalize="none",
        residence=residence,
    )
    test = load(config, "").splits["test"]
    np.testing.assert_array_equal(np.concatenate(list(test.chunks()))[:, 0], range(9))


@pytest.mark.parametrize("residence", RESIDENCES)
def test_columns_of_numbers(tmp_path, residence):
    rows = [record(a=n / 2, b=n, label=b"yes" if n % 4 else b"no") for n in range(50)]
    path = write(tmp_path / "train", rows, shards=2)
    config = TFRecord(
        path=path, image="", columns=("b", "a"), normalize="none", residence=residence
    )
    dataset = load(config, "")
    assert dataset.signature.kind == "table"
    assert [column.name for column in dataset.signature.columns] == ["b", "a"]
    assert dataset.signature.classes == ("no", "yes")
    for split in dataset.splits.values():
        b, a = np.concatenate(list(split.chunks())).T
        np.testing.assert_array_equal(a, b / 2)
        np.testing.assert_array_equal(split.targets, b % 4 > 0)


@pytest.mark.parametrize(
    ("labels", "settings", "classes", "first"),
    [
        ([[b"b", b"a"], [b"a"], []], {}, ("a", "b"), [1, 1]),
        ([[0, 2], [1], [2]], {"class_names": ("x", "y", "z")}, ("x", "y", "z"), [1, 0, 1]),
        ([1.5, 2.0, -3.0], {"target": "regression"}, ("label",), [1.5]),
        ([[1, 2], [3, 4], [5, 6]], {"target": "regression"}, ("label_0", "label_1"), [1, 2]),
        ([[b"u"], [b"v"], [b"v"]], {}, ("u", "v"), 0),
        ([[b"u"], [b"v"], [b"v"]], {"target": "multi_label"}, ("u", "v"), [1, 0]),
    ],
    ids=["names", "numbers", "value", "values", "class names", "forced labels"],
)
def test_targets(tmp_path, labels, settings, classes, first):
    rows = []
    for n in range(60):
        made = {"image": feature(encoded(n))}
        label = labels[n % 3]
        if label or label == 0:
            made["label"] = feature(label)
        features = tf.train.Features(feature=made)
        rows.append(tf.train.Example(features=features).SerializeToString(deterministic=True))
    path = write(tmp_path / "train", rows)
    for residence in RESIDENCES:
        config = TFRecord(path=path, residence=residence, validation_fraction=0, **settings)
        dataset = load(config, "")
        assert dataset.signature.classes == classes
        digests = [list(split.identities()) for split in dataset.splits.values()]
        assert sum(map(len, digests)) == 60
        train = dataset.splits["train"]
        # The examples of the first label.
        kept = [row for row in train.targets.tolist() if row == first]
        assert len(kept) >= 10


def damaged(tmp_path, kind):
    """Shards with a defect."""
    good, path = images(30), tmp_path / "train"
    match kind:
        case "truncated":
            write(path, good)
            path.write_bytes(path.read_bytes()[:-30])
        case "flipped":
            write(path, good)
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(bytes(content))
        case "compressed":
            write(path, good, options="GZIP")
        case "text":
            path.write_text("a,b\n" * 100)
        case "empty":
            path.write_bytes(b"")
        case "no example":
            write(path, [b"\xff\xff not an example", *good])
        case "later no example":
            write(path, [*good, b"\xff\xff not an example"])
        case "no feature":
            write(path, [*good, record(label=1)])
        case "two images":
            write(path, [*good, record(image=[encoded(1), encoded(2)], label=1)])
        case "wrong type":
            write(path, [*good, record(image=encoded(1), label=b"one")])
        case "broken image":
            write(path, [*good, record(image=encoded(9, (40, 40), "JPEG")[:-300], label=1)])
        case "no image":
            write(path, [*good, record(image=b"text", label=1)])
        case "huge image":
            buffer = io.BytesIO()
            Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
            write(path, [*good, record(image=buffer.getvalue(), label=1)])
    return str(path)


DEFECTS = {
    "truncated": "train is damaged or truncated at record 29",
    "flipped": "train is damaged or truncated at record 15",
    "compressed": "is compressed, .* decompress it",
    "text": "is not a TFRecord file, or is damaged or truncated at record 0",
    "empty": "train is empty",
    "no example": "train, record 0 is not a tf.train.Example",
    "later no example": "train, record 30 is not a tf.train.Example",
    "no feature": "train, record 30, feature 'image' must have one value. Received: 0",
    "two images": "train, record 30, feature 'image' must have one value. Received: 2",
    "wrong type": "train, record 30 is not a tf.train.Example with the types",
    "broken image": "image .*train, record 30 cannot be read",
    "no image": "image .*train, record 30 cannot be read",
    "huge image": "image .*train, record 30 has more than 100,000,000 pixels",
}


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_defect_is_named_in_one_line(tmp_path, kind):
    path = damaged(tmp_path, kind)
    for residence in RESIDENCES:
        with pytest.raises(UserError, match=DEFECTS[kind]) as caught:
            load(TFRecord(path=path, residence=residence, image_size=(6, 5)), "")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "kind", ["truncated", "later no example", "no feature", "broken image", "huge image"]
)
def test_a_defect_is_skipped(tmp_path, kind, capsys):
    path = damaged(tmp_path, kind)
    first, second = (
        load(TFRecord(path=path, residence=residence, on_error="skip", image_size=(6, 5)), "")
        for residence in RESIDENCES
    )
    assert len(first.skipped) == 1
    assert first.skipped == second.skipped
    assert "broken inputs left out: 1; the first: " in capsys.readouterr().err
    assert sum(map(len, first.splits.values())) == (29 if kind == "truncated" else 30)
    assert_equal(batches(first.splits["train"]), batches(second.splits["train"]))


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (0.5, {}, "set data.target=regression to predict numbers"),
        ([1, 2], {"target": "classification"}, "set data.target=multi_label for lists"),
        (7, {"class_names": ("a", "b")}, "must be a class number from 0 to 1. Received: 7"),
        (-1, {}, "must be a class number from 0"),
        (b"c", {"class_names": ("a", "b")}, "must be one of a, b. Received: 'c'"),
        (b"c", {"target": "regression"}, "must be numbers"),
        (1, {"label": "lable"}, "Did you mean 'label'"),
        (1, {"image": "img"}, "feature of .* 'img'"),
        (float("nan"), {"target": "regression"}, "must be finite"),
        (0, {}, "at least two classes"),
    ],
    ids=[
        "floats", "list", "large", "negative", "unknown", "text", "label", "image", "nan", "one",
    ],
)  # fmt: skip
def test_wrong_labels_are_named_in_one_line(tmp_path, labels, settings, message):
    path = write(tmp_path / "train", [record(image=encoded(n), label=labels) for n in range(9)])
    with pytest.raises(UserError, match=message) as caught:
        load(TFRecord(path=path, **settings), "")
    assert "\n" not in str(caught.value)


def test_many_different_class_numbers_are_measurements(tmp_path):
    rows = [record(image=encoded(n), label=1000 * n) for n in range(30)]
    path = write(tmp_path / "train", rows)
    with pytest.raises(UserError, match="30 different numbers in 30 records, too many"):
        load(TFRecord(path=path), "")


BESIDE = {
    "text": (b"a,b\n" * 100, "other is not a TFRecord file"),
    "empty": (b"", "other is empty"),
    "end missing": (b"\x05\0\0", "other is not a TFRecord file, or is damaged"),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_a_broken_shard_beside_whole_ones(tmp_path, kind):
    content, message = BESIDE[kind]
    write(tmp_path / "shards-1", images(30))
    (tmp_path / "shards-0-other").write_bytes(content)
    config = TFRecord(path=f"{tmp_path}/shards-*")
    with pytest.raises(UserError, match=message):
        load(config, "")
    dataset = load(dataclasses.replace(config, on_error="skip"), "")
    assert sum(map(len, dataset.splits.values())) == 30
    ((name, reason),) = dataset.skipped
    assert name == str(tmp_path / "shards-0-other")
    assert message in reason


@pytest.mark.parametrize("options", ["GZIP", "ZLIB"])
def test_compressed_shards_are_never_skipped(tmp_path, options):
    path = write(tmp_path / "train", images(30), options=options)
    with pytest.raises(UserError, match=r"is compressed, .*; decompress it"):
        load(TFRecord(path=path, on_error="skip"), "")


@pytest.mark.parametrize(
    ("labels", "settings", "reason"),
    [
        (7, {"class_names": ("a", "b", "c")}, "must be a class number from 0 to 2. Received: 7"),
        ([1, 2], {"target": "classification"}, "must have one value.*Received: 2"),
        ([], {}, "must have one value.*Received: 0"),
    ],
    ids=["class", "list", "none"],
)
def test_a_wrong_label_is_skipped(tmp_path, labels, settings, reason):
    path = write(tmp_path / "train", [*images(30), record(image=encoded(50), label=labels)])
    for residence in RESIDENCES:
        config = TFRecord(path=path, residence=residence, **settings)
        with pytest.raises(UserError, match=f"record 30, feature 'label' {reason}"):
            load(config, "")
        dataset = load(dataclasses.replace(config, on_error="skip"), "")
        assert [name for name, _ in dataset.skipped] == [f"{path}, record 30"]
        assert sum(map(len, dataset.splits.values())) == 30
        assert dataset.signature.target == "classification"


def test_a_class_that_only_the_test_shards_have(tmp_path):
    rows = [record(image=encoded(n), label=b"ab"[n % 2 :][:1]) for n in range(40)]
    path = write(tmp_path / "train", rows)
    test = write(tmp_path / "test", [*rows[:5], record(image=encoded(77), label=b"new")])
    config = TFRecord(path=path, test_path=test)
    with pytest.raises(UserError, match=r"test, record 5, .* one of a, b. Received: 'new'"):
        load(config, "")
    dataset = load(dataclasses.replace(config, on_error="skip"), "")
    assert len(dataset.splits["test"]) == 5
    other = write(tmp_path / "other", images(9))
    with pytest.raises(UserError, match="must be class names as in the training shards"):
        load(TFRecord(path=path, test_path=other), "")


def test_a_broken_first_record_is_skipped(tmp_path):
    path = write(tmp_path / "train", [b"\xff\xff no example", b"", record(x=1), *images(30)])
    with pytest.raises(UserError, match=r"train, record 0 is not a tf.train.Example"):
        load(TFRecord(path=path), "")
    dataset = load(TFRecord(path=path, on_error="skip"), "")
    assert [name[-8:] for name, _ in dataset.skipped] == ["record 0", "record 1", "record 2"]
    assert sum(map(len, dataset.splits.values())) == 30


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"x": float("nan")}, "record 20, feature 'x' must be finite. Received: nan"),
        ({"x": float("inf")}, "record 20, feature 'x' must be finite. Received: inf"),
        ({"x": [1.0, 2.0]}, "record 20, feature 'x' must have one value. Received: 2"),
        ({"y": 1.0}, "record 20, feature 'x' must have one value. Received: 0"),
        ({"x": 1}, "record 20 is not a tf.train.Example with the types"),
    ],
    ids=["nan", "infinite", "two", "missing", "type"],
)
def test_wrong_columns_are_named_or_skipped(tmp_path, row, message):
    rows = [record(x=n / 2, label=n % 2) for n in range(20)]
    path = write(tmp_path / "train", [*rows, record(label=1, **row)])
    config = TFRecord(path=path, image="", columns=("x",))
    with pytest.raises(UserError, match=message):
        source.load(config, "")
    found = source.load(dataclasses.replace(config, on_error="skip"), "")
    assert len(found.splits["train"]) == 20
    assert [name for name, _ in found.skipped] == [f"{path}, record 20"]


def test_vectors_of_0_and_1_are_no_lists_of_labels(tmp_path):
    rows = [record(image=encoded(n), label=[n % 2, 1, 1 - n % 2]) for n in range(20)]
    with pytest.raises(UserError, match=r"record 0, .* must have each label once"):
        load(TFRecord(path=write(tmp_path / "train", rows)), "")


def test_a_huge_class_number_is_refused(tmp_path):
    rows = [record(image=encoded(n), label=10**12 * (n % 2)) for n in range(20)]
    with pytest.raises(UserError, match=r"must be class numbers .*Received: 1000000000000"):
        load(TFRecord(path=write(tmp_path / "train", rows)), "")


def test_no_shard_is_in_two_splits(tmp_path):
    path = write(tmp_path / "train", images(30), shards=3)
    with pytest.raises(UserError, match=r"the test and the train shards .*train-00001"):
        load(TFRecord(path=path, test_path=f"{tmp_path}/train-00001"), "")


def test_hidden_files_and_folders_are_no_shards(tmp_path):
    for name in ("b", "a", "_SUCCESS", ".a.crc"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "c").mkdir()
    shards = [f"{tmp_path}/a", f"{tmp_path}/b"]
    assert source.find_shards(str(tmp_path), "path") == shards
    assert source.find_shards(f"{tmp_path}/", "path") == shards
    assert source.find_shards(f"{tmp_path}/[b-z]*", "path") == shards[1:]


def test_a_shard_that_changes_during_training_is_named(tmp_path):
    path = write(tmp_path / "train", images(60))
    train = load(TFRecord(path=path, residence="disk"), "").splits["train"]
    assert isinstance(train, RecordExamples)
    # The same size, and other pixels.
    write(tmp_path / "train", images(60)[::-1])
    with pytest.raises(tf.errors.OpError, match="has changed since it was indexed"):
        batches(train)
    assert train.changed_files() == [path]
    os.remove(path)
    assert train.changed_files() == [path]


@pytest.mark.parametrize("path", ["", "none-*", "folder"])
def test_shards_must_exist(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"data.path (is required|must match TFRecord files)"):
        load(TFRecord(path=path), "")


def test_sizes_that_differ_need_an_image_size(tmp_path):
    rows = [*images(10), record(image=encoded(0, (9, 9)), label=0)]
    path = write(tmp_path / "train", rows)
    with pytest.raises(
        UserError, match=r"set data.image_size.*\(6, 5\) and \(9, 9\) in .*record 10"
    ):
        load(TFRecord(path=path), "")


def test_an_index_is_built_once_and_again_if_a_shard_changes(tmp_path, monkeypatch):
    from trainer.data.records import contents, index

    path = write(tmp_path / "train", images(40))
    # The index of a file that was written a moment ago is not kept.
    os.utime(path, (1e9, 1e9))
    first = load(TFRecord(path=path, residence="disk"), "")

    def forbidden(*_):
        raise AssertionError("measured again")

    with monkeypatch.context() as patch:
        patch.setattr(index, "_measure", forbidden)
        patch.setattr(contents, "_measure", forbidden)
        again = load(TFRecord(path=path, residence="disk"), "")
    assert_equal(batches(again.splits["train"]), batches(first.splits["train"]))
    assert first.splits["train"].changed_files() == []
    write(tmp_path / "train", images(45))
    assert first.splits["train"].changed_files() == [path]
    assert sum(map(len, load(TFRecord(path=path, residence="disk"), "").splits.values())) == 45


def test_auto_reads_from_disk_what_does_not_fit(tmp_path, monkeypatch, capsys):
    from trainer.io import memory

    path = write(tmp_path / "train", images(20))
    load(TFRecord(path=path), "")
    assert "disk" not in capsys.readouterr().err
    monkeypatch.setattr(memory, "fits", lambda needed: needed < 20 * 6 * 5 * 3)
    load(TFRecord(path=path), "")
    assert capsys.readouterr().err.endswith("it is read from disk\n")
