import numpy as np
import pytest

from trainer.config import CSV
from trainer.data.loading import load
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
        rows = [f"{n},{n},x,{labels[n % len(labels)]}" for n in range(300)]
        dataset = load(
            CSV(path=table(tmp_path / "t.csv", rows), label="fraud", ignore=("note",)), ""
        )
        assert dataset.signature.classes == labels


@pytest.mark.parametrize(
    ("rows", "header", "expected"),
    [
        (["1,2,x,0"] * 200, "amount,hour,note,fraud", "at least two classes"),
        (ROWS, "amount,amount,note,fraud", "distinct name per column"),
        (["1,1e39,x,0", *ROWS], "amount,hour,note,fraud", "line 2, column 'hour'.*finite"),
        (["inf,1,x,0", *ROWS], "amount,hour,note,fraud", "line 2, column 'amount'.*finite"),
        (["1,2,x,", "1,2,x,1"], "amount,hour,note,fraud", "line 2, column 'fraud'"),
        (ROWS, "amount,,note,fraud", "Received: '' for column 2"),
        (["²,2,x,0", *ROWS], "amount,hour,note,fraud", "column 'amount'.*types=amount=categ"),
        (['1,2,"x,0'], "amount,hour,note,fraud", "line 2 is not a row of CSV"),
        (["1,2,x,0", "1,2,x"], "amount,hour,note,fraud", "line 3 must have 4 cells. Received: 3"),
        ([], "amount,hour,note,fraud", "no rows below its header"),
        (
            [f",{n},x,{n % 2}" for n in range(200)],
            "amount,hour,note,fraud",
            "'amount' has no value.*ignore",
        ),
        (ROWS, "amount,hour,note,frau", "unknown column.*Did you mean 'frau'"),
        (ROWS, "amount,hour,notes,fraud", "data.ignore.*Did you mean 'notes'"),
        ([f"{n},a{n},x,{n % 2}" for n in range(300)], "amount,hour,note,fraud", "too many"),
    ],
)
def test_wrong_tables(tmp_path, rows, header, expected):
    path = table(tmp_path / "t.csv", rows, header)
    with pytest.raises(UserError, match=expected) as error:
        load(CSV(path=path, label="fraud", ignore=("note",)), "")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"types": ("hours=date",)}, "Did you mean 'hour'"),
        ({"types": ("hour=dat",)}, "Did you mean 'date'"),
        ({"types": ("hour",)}, "COLUMN=TYPE"),
        ({"types": ("hour=date",)}, "column 'hour' must be a date"),
        ({"types": ("hour=boolean",)}, "column 'hour' must be true or false"),
        ({"types": ("fraud=numeric",)}, "unknown feature"),
        ({"encoding": "utf-99"}, "data.encoding must be"),
        ({"encoding": "hex"}, "data.encoding must be"),
        ({"group": "who"}, "data.group"),
        ({"time": "note"}, "column 'note' must be a number or a date"),
        ({"test_path": "none.csv"}, "no such file: none.csv"),
        ({"path": ""}, "data.path is required"),
        ({"delimiter": ";"}, "unknown column"),
        ({"residence": "memory", "ignore": ("amount", "hour", "note")}, "column besides"),
    ],
)
def test_wrong_settings(tmp_path, settings, expected):
    path = table(tmp_path / "t.csv", ROWS)
    settings = {"path": path, "label": "fraud", "ignore": ("note",), **settings}
    if settings.get("time") == "note":
        settings["ignore"] = ()
    with pytest.raises(UserError, match=expected) as error:
        load(CSV(**settings), "")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        (b"", "no rows"),
        (b"a,label\n1,x\n\xff\xe9,y\n", "line 3 is not a text in UTF-8"),
        (b"a,label\n1,x\n\0,y\n", "line 3 is not a text"),
        (b"\x1f\x8bnot gzip at all", "cannot be decompressed"),
        (b'a,label\n1,x\n2,"y"z\n', "line 3 is not a row of CSV"),
    ],
)
def test_files_that_are_no_tables(tmp_path, contents, expected):
    path = tmp_path / "t.csv"
    path.write_bytes(contents)
    with pytest.raises(UserError, match=expected):
        load(CSV(path=str(path)), "")


def test_a_table_that_does_not_fit_into_memory(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TRAINER_CACHE_DIR", str(tmp_path / "cache"))
    path = table(tmp_path / "t.csv", ROWS)
    available = type("Memory", (), {"available": 1000})
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: available)
    config = {"path": path, "label": "fraud", "ignore": ("note",)}
    with pytest.raises(UserError, match=r"residence=disk"):
        load(CSV(**config, residence="memory"), "")
    from_disk = load(CSV(**config), "")
    assert "it is read from disk" in capsys.readouterr().err
    monkeypatch.undo()
    in_memory = load(CSV(**config), "")
    for name, split in in_memory.splits.items():
        assert split.digest() == from_disk.splits[name].digest()


def test_classes_that_only_look_like_integers(tmp_path):
    path = table(tmp_path / "t.csv", [f"{n},{n % 7},x,{'²' if n % 2 else '10'}" for n in range(99)])
    dataset = load(CSV(path=path, label="fraud", ignore=("note",)), "")
    assert dataset.signature.classes == ("10", "²")


def test_minus_zero_is_zero(tmp_path):
    path = table(tmp_path / "t.csv", [f"-0.0,{n},x,{n % 2}" for n in range(200)])
    train = load(CSV(path=path, label="fraud", ignore=("note",)), "").splits["train"]
    assert not np.signbit(train.features).any()


def test_a_byte_order_mark_is_no_part_of_a_header(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(
        ("\ufeff" + "amount,fraud\n" + "\n".join(f"{n},{n % 2}" for n in range(100))).encode()
    )
    assert load(CSV(path=str(path), label="fraud"), "").signature.columns[0].name == "amount"
