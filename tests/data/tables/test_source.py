"""Random tables load with finite inputs, or are refused in one line."""

import csv
import gzip
import io

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from trainer.compat.keras import tf
from trainer.config.data import CSV, Parquet
from trainer.data.loading import load
from trainer.data.normalization import normalize
from trainer.data.tables.reading import encoded_rows
from trainer.errors import UserError

MISSING = st.sampled_from(["", "NA", "n/a", "NaN", "NULL", "None", "?"])
KINDS = {
    "number": st.floats(-1e6, 1e6, width=32).map(repr) | st.integers(-9, 9).map(str),
    "text": st.sampled_from(["a", "b,c", 'say "x"', "d\ne", "f;g", "h\ti", "j|k", "ä"]),
    "flag": st.sampled_from(["yes", "no"]),
    "date": st.dates().map(str) | st.datetimes().map(lambda moment: moment.isoformat()),
    "anything": st.text("a1.-é ", max_size=4),
}


@st.composite
def tables(draw):
    """A header with the label last, and rows of cells."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4))
    count = draw(st.sampled_from([1, 2, 40, 60]))
    columns = [
        draw(st.lists(KINDS[kind] | MISSING, min_size=count, max_size=count)) for kind in kinds
    ]
    labels = [f"class {place * 7 % 3}" for place in range(count)]
    header = [f"c{place}" for place in range(len(kinds))]
    if draw(st.integers(0, 19)) == 0:
        header[0] = "label"
    return [*header, "label"], [list(row) for row in zip(*columns, labels, strict=True)]


def written(path, header, rows, delimiter, encoding="utf-8", compressed=False):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([header, *rows])
    contents = text.getvalue().encode(encoding)
    path.write_bytes(gzip.compress(contents) if compressed else contents)
    return str(path)


def outcome(config):
    """What a table loads as, or the message that refuses it."""
    try:
        dataset = load(config, "")
    except UserError as error:
        return f"one line: {chr(10) not in str(error)}"
    for split in dataset.splits.values():
        for chunk in split.chunks():
            inputs = normalize(tf.constant(chunk), dataset.signature).numpy()
            assert inputs.shape[1:] == dataset.signature.input_shape
            assert np.isfinite(inputs).all()
    digests = {name: split.digest() for name, split in dataset.splits.items()}
    identities = {name: list(split.identities()) for name, split in dataset.splits.items()}
    return dataset.signature, digests, identities


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("tables")
        patch.setenv("TRAINER_CACHE_DIR", str(folder))
        yield folder


@settings(max_examples=60, deadline=None)
@given(
    table=tables(),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    compressed=st.booleans(),
    skip=st.booleans(),
)
def test_every_form_is_the_same_table(folder, table, delimiter, encoding, compressed, skip):
    header, rows = table
    named = "latin-1" if encoding == "latin-1" else ""
    path = written(folder / "t.csv", header, rows, delimiter, encoding, compressed)
    on_error = "skip" if skip else "fail"
    config = CSV(path=path, on_error=on_error, encoding=named, residence="memory")
    in_memory = outcome(config)
    assert outcome(CSV(**{**vars(config), "residence": "disk"})) == in_memory
    plain = CSV(path=written(folder / "plain.csv", header, rows, ","), on_error=on_error)
    assert isinstance(outcome(plain), type(in_memory))
    if isinstance(in_memory, str):
        assert in_memory == "one line: True"
        return
    assert outcome(plain) == in_memory
    columns = {name: [row[place] for row in rows] for place, name in enumerate(header)}
    parquet.write_table(pyarrow.table(columns), folder / "t.parquet", row_group_size=7)
    stored = Parquet(path=str(folder / "t.parquet"), on_error=on_error)
    assert outcome(stored) == in_memory


def test_prediction_encodes_like_training(folder):
    random = np.random.default_rng(0)
    rows = [
        [
            str(random.choice(["NA", "1", "2.5"])),
            str(random.choice(["x", "y"])),
            str(random.choice(["yes", "no"])),
            f"2024-0{random.integers(1, 9)}-11T0{random.integers(1, 9)}:30",
            f"{place % 2}",
        ]
        for place in range(200)
    ]
    header = ["n", "c", "b", "d", "label"]
    path = written(folder / "train.csv", header, rows, ",")
    test_path = written(folder / "test.csv", header, rows[:50], ",")
    dataset = load(CSV(path=path, test_path=test_path), "")
    reordered = [["?", *reversed(row[:-1])] for row in rows[:50]]
    other = written(folder / "other.csv", ["extra", "d", "b", "c", "n"], reordered, ";")
    names, found = zip(*encoded_rows(other, CSV(), dataset.signature.columns), strict=True)
    assert names[:2] == (f"{other}:2", f"{other}:3")
    expected = normalize(tf.constant(dataset.splits["test"].features), dataset.signature)
    np.testing.assert_array_equal(
        normalize(tf.constant(np.stack(found)), dataset.signature), expected
    )
    unseen = written(folder / "unseen.csv", header[:4], [["", "z", "", ""]], ",")
    ((_, row),) = encoded_rows(unseen, CSV(), dataset.signature.columns)
    assert row[1] == 0
    assert np.isfinite(normalize(tf.constant(row[None]), dataset.signature)).all()
    lacking = written(folder / "lacking.csv", ["nn", "c", "b", "d"], [["1", "x", "", ""]], ",")
    with pytest.raises(UserError, match="unknown column"):
        list(encoded_rows(lacking, CSV(), dataset.signature.columns))
