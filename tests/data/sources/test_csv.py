import numpy as np
import pytest

from trainer.config import CSV
from trainer.data.loading import load
from trainer.data.signature import Column

from trainer.errors import UserError
from trainer.io import memory


def sizes(dataset):
    return {name: len(split) for name, split in dataset.splits.items()}


def table(path, rows, header="amount,hour,note,fraud"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


ROWS = [f"{number * 0.5},{number % 24},text {number},{number % 3 == 0:d}" for number in range(200)]


def test_a_table(tmp_path):
    path = table(tmp_path / "t.csv", ROWS)
    dataset = load(CSV(path=path, label="fraud", ignore=("note",)), "")
    assert [column.name for column in dataset.signature.columns] == ["amount", "hour"]
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


def test_numbers_that_are_classes(tmp_path):
    for labels in ("1.0", "2.0"), map(str, range(19)), ("1.5", "2.5", "n/a"):
        labels = tuple(labels)
        rows = [f"{n},{n},x,{labels[n % len(labels)]}" for n in range(60)]
        dataset = load(
            CSV(path=table(tmp_path / "t.csv", rows), label="fraud", ignore=("note",)), ""
        )
        assert dataset.signature.classes == labels


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
    assert load(CSV(path=str(path), label="fraud"), "").signature.columns == (Column("amount"),)
