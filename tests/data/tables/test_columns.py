"""What is measured on the training split, against independent references."""

import datetime
import statistics
from collections import Counter

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config.data import CSV
from trainer.data.loading import load
from trainer.data.normalization import normalize
from trainer.errors import UserError

RANDOM = np.random.default_rng(0)
COUNT = 120
NUMBERS = [str(round(float(value), 3)) for value in RANDOM.normal(size=COUNT)]
COLORS = [str(value) for value in RANDOM.choice(["red", "green", "blue"], COUNT)]
FLAGS = [str(value) for value in RANDOM.choice(["y", "n"], COUNT, p=[0.7, 0.3])]
DAYS = [
    datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=int(value))
    for value in RANDOM.integers(0, 20_000, COUNT)
]
for place in range(0, COUNT, 10):
    NUMBERS[place] = "NA"
    FLAGS[place + 1] = "?"
COLORS[3] = "violet"


def rows(first, last):
    return [
        f"{NUMBERS[i]},{COLORS[i]},{FLAGS[i]},{DAYS[i].isoformat()},{i % 2}"
        for i in range(first, last)
    ]


def write(path, lines, header="number,color,flag,day,label"):
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


@pytest.fixture
def dataset(tmp_path):
    path = write(tmp_path / "train.csv", rows(0, 100))
    test_path = write(tmp_path / "test.csv", rows(100, COUNT))
    return load(CSV(path=path, test_path=test_path, validation_fraction=0), "")


def test_fills(dataset):
    columns = {(column.name, column.part): column for column in dataset.signature.columns}
    numbers = [float(np.float32(float(cell))) for cell in NUMBERS[:100] if cell != "NA"]
    assert columns["number", ""].fill == pytest.approx(statistics.median(numbers))
    assert columns["number", ""].has_indicator
    counts = Counter(COLORS[:100])
    kept = sorted((name for name in counts if counts[name] > 1), key=lambda n: (-counts[n], n))
    assert columns["color", ""].categories == tuple(kept)
    assert columns["color", ""].fill == 1
    assert columns["flag", ""].fill == 1
    years = [moment.year for moment in DAYS[:100]]
    assert columns["day", "year"].fill == statistics.median(years)
    assert not columns["day", "hour"].has_indicator


def test_inputs(dataset):
    """Numbers are standardized, categories are one-hot, dates are in parts."""
    inputs = normalize(tf.constant(dataset.splits["train"].features), dataset.signature).numpy()
    numbers = np.array([np.nan if cell == "NA" else float(cell) for cell in NUMBERS[:100]])
    flags = np.array([{"y": 1.0, "n": 0.0, "?": np.nan}[cell] for cell in FLAGS[:100]])
    scalars = [numbers, flags]
    for part in ("year", "month", "day"):
        scalars.append(np.array([getattr(moment, part) for moment in DAYS[:100]], float))
    scalars.append(np.array([moment.weekday() for moment in DAYS[:100]], float))
    scalars.append(np.array([moment.hour for moment in DAYS[:100]], float))
    for place, values in enumerate(scalars):
        fill = np.nanmedian(values) if place != 1 else 1.0
        filled = np.where(np.isnan(values), fill, values)
        expected = (filled - filled.mean()) / filled.std()
        np.testing.assert_allclose(inputs[:, place], expected, atol=2e-4)
    np.testing.assert_array_equal(inputs[:, 7], np.isnan(numbers))
    np.testing.assert_array_equal(inputs[:, 8], np.isnan(flags))
    (categories,) = (each.categories for each in dataset.signature.columns if each.name == "color")
    expected = np.array([[cell == name for name in categories] for cell in COLORS[:100]])
    np.testing.assert_array_equal(inputs[:, 10:], expected)
    np.testing.assert_array_equal(inputs[:, 9], ~expected.any(axis=1))


def test_a_test_row_changes_nothing(tmp_path, dataset):
    path = write(tmp_path / "train.csv", rows(0, 100))
    test_path = write(tmp_path / "test.csv", ["1e6,pink,n,1990-01-01,1", *rows(101, COUNT)])
    other = load(CSV(path=path, test_path=test_path, validation_fraction=0), "")
    assert other.signature == dataset.signature
    assert other.splits["train"].digest() == dataset.splits["train"].digest()


def test_broken_rows_are_left_out(tmp_path, dataset, capsys):
    lines = rows(0, 100)
    broken = ["1,2", "word,red,y,2020-01-01,0", "1e99,red,y,2020-01-01,0", "1,red,y,2020-01-01,"]
    path = write(tmp_path / "train.csv", [*broken, *lines])
    test_path = write(tmp_path / "test.csv", rows(100, COUNT))
    config = CSV(path=path, test_path=test_path, validation_fraction=0, on_error="skip")
    loaded = load(config, "")
    assert loaded.signature == dataset.signature
    assert loaded.splits["train"].digest() == dataset.splits["train"].digest()
    assert sorted(name for name, _ in loaded.skipped) == [f"{path}:{line}" for line in (2, 3, 4, 5)]
    assert "4 rows" in capsys.readouterr().err
    with pytest.raises(UserError, match="line 2"):
        load(CSV(path=path), "")


def test_groups_and_times(tmp_path):
    path = write(tmp_path / "t.csv", rows(0, COUNT))
    dataset = load(CSV(path=path, time="day"), "")
    names = {column.name for column in dataset.signature.columns}
    assert names == {"number", "color", "flag"}
    order = np.argsort([moment.timestamp() for moment in DAYS], kind="stable")
    last = {f"{NUMBERS[i]}" for i in order[-len(dataset.splits["test"]) :]} - {"NA"}
    found = dataset.splits["test"].features[:, 0]
    np.testing.assert_array_equal(
        np.sort(found[~np.isnan(found)]), np.sort(np.float32([float(cell) for cell in last]))
    )
    lines = [f"{i},{i % 40},{i % 2}" for i in range(COUNT)]
    path = write(tmp_path / "g.csv", lines, "x,who,label")
    config = CSV(path=path, group="who", validation_fraction=0.2, test_fraction=0.3)
    dataset = load(config, "")
    people = [set(split.features[:, 0].astype(int) % 40) for split in dataset.splits.values()]
    assert sum(map(len, people)) == 40


def test_many_categories_are_embedded(tmp_path):
    lines = [f"{i},v{i % 41},{i % 2}" for i in range(1000)]
    path = write(tmp_path / "t.csv", lines, "x,code,label")
    columns = load(CSV(path=path), "").signature.columns
    assert columns[1].embedding == 21
    columns = load(CSV(path=path, categories="one_hot"), "").signature.columns
    assert columns[1].embedding == 0
    columns = load(CSV(path=path, types=("x=categorical",)), "").signature.columns
    assert (columns[0].type, columns[0].categories, columns[0].embedding) == ("categorical", (), 0)


def test_the_summary_fits_a_terminal(tmp_path):
    header = ",".join([f"a rather long name of the column {i}" for i in range(60)])
    lines = [",".join([*[f"{'text ' * 9}{i % 3}"] * 60, str(i % 2)]) for i in range(100)]
    lines = [f"{i},{line}" for i, line in enumerate(lines)]
    path = write(tmp_path / "t.csv", lines, f"x,{header},label")
    summary = load(CSV(path=path), "").summary.splitlines()
    assert len(summary) <= 40
    assert max(map(len, summary)) <= 80
    assert summary[-1].strip() == "and 25 more"
