"""The report of supervised runs agrees with result.json, and is written without the data too."""

import json
import re

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from trainer.cli.main import run
from trainer.compat.keras import keras, tf
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.workdir import load_experiment
from trainer.report import classification, mistakes, predictions, probabilities, saliency

HOSTILE = "</script><b>x"
TRAIN = ("--config.train.steps=30", "--config.train.global_batch_size=32")


def train(path, *arguments):
    config = ("train", "--config=configs/digits_cnn.py", f"--workdir={path}", *TRAIN)
    assert run([*config, *arguments]) == 0
    return path


def result(path):
    return json.loads((path / "result.json").read_text())["metrics"]


def found(path):
    runtime = distribution.create(DistributionConfig(strategy="cpu", precision="float32"), False)
    return predictions.of_run(load_experiment(str(path)), str(path), runtime, "")


@pytest.fixture(autouse=True)
def float32(monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.fixture(scope="module")
def digits(tmp_path_factory, request):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(request.config.rootpath)
        small = ("--config.model.filters=4", "--config.model.units=8", "--config.seeds=2")
        metrics = "--config.evaluate.metrics=accuracy,confusion_matrix,recall_per_class"
        return train(tmp_path_factory.mktemp("digits") / "run", *small, metrics)


@pytest.fixture
def table(tmp_path):
    random = np.random.default_rng(0)
    numbers = random.normal(size=(200, 2))
    rows = [
        f"{a},{b if b > -1 else ''},{'red' if a > 0 else HOSTILE},{HOSTILE if a + b > 0 else 'no'}"
        for a, b in numbers
    ]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,color,label", *rows]) + "\n")
    return tmp_path / "t.csv"


def of_table(path, *arguments):
    csv = ("--config.data.kind=csv", f"--config.data.path={path}", "--config.model.kind=mlp")
    return train(path.parent / "run", *csv, *arguments)


def test_figures_are_those_of_the_result(digits, capsys):
    of_seed = found(digits / "seed_0")
    metrics = result(digits / "seed_0")
    counts = classification.confusion_matrix(of_seed)
    assert counts.tolist() == metrics["test/confusion_matrix"]
    assert np.trace(counts) / counts.sum() == metrics["test/accuracy"]
    assert predictions.differences(of_seed, metrics) == []
    assert run(["report", f"--workdir={digits}"]) == 0
    assert capsys.readouterr().out.strip() == str(digits / "report.html")
    page = (digits / "report.html").read_text()
    summary = result(digits)
    for name in ("accuracy", "loss"):
        low, high = summary[f"test/{name}_ci95"]
        cells = f">{summary[f'test/{name}']:.5g}</td><td>{low:.5g}, {high:.5g}</td>"
        assert cells in page, name
    right = int(np.trace(counts))
    assert f"{right} of {int(counts.sum())} examples of the test split" in page
    assert "Changed since" not in page
    for recall in metrics["test/recall_per_class"]:
        assert f'<td class="number">{recall:.5g}</td>' in page


def test_other_weights_are_noticed(digits):
    metrics = result(digits / "seed_0")
    changed = {**metrics, "test/accuracy": metrics["test/accuracy"] + 0.01}
    (difference,) = predictions.differences(found(digits / "seed_0"), changed)
    assert difference.startswith("test/accuracy is ")


def test_the_worst_mistakes_are_the_wrong_examples_of_largest_loss(digits):
    of_seed = found(digits / "seed_1")
    order = mistakes.worst(of_seed)
    wrong = np.flatnonzero(of_seed.outputs.argmax(axis=1) != of_seed.targets)
    assert sorted(order) == wrong.tolist()
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(of_seed.targets, of_seed.outputs)
    np.testing.assert_allclose(np.diff(losses.numpy()[order]).clip(0), 0, atol=1e-5)


def test_saliency_is_the_derivative(digits):
    of_seed = found(digits / "seed_0")
    features = of_seed.features(np.arange(3))
    outputs = np.array([1, 5, 9])
    maps = saliency.saliency(of_seed, features, outputs)
    assert maps.shape == (3, 8, 8)
    network, scale = of_seed.predictor.classifier.network, of_seed.signature.scale[0]
    # Of the 256 levels of a pixel.
    step = 2.0
    for example in range(3):
        y, x = np.unravel_index(maps[example].argmax(), (8, 8))
        moved = np.repeat(features[example : example + 1], 2, axis=0).astype(np.float64)
        moved[0, y, x] -= step / 2
        moved[1, y, x] += step / 2
        inputs = ((moved - of_seed.signature.offset[0]) * scale).astype(np.float32)
        low, high = network(inputs, training=False).numpy()[:, outputs[example]]
        assert abs(high - low) / step == pytest.approx(maps[example, y, x], rel=0.05)


def test_recall_and_precision_at_each_threshold():
    scores = np.array([0.9, 0.8, 0.8, 0.3, 0.1], np.float32)
    positive = np.array([True, False, True, False, True])
    recall, precision = probabilities.recall_and_precision(scores, positive)
    np.testing.assert_allclose(recall, [1 / 3, 2 / 3, 2 / 3, 1])
    np.testing.assert_allclose(precision, [1, 2 / 3, 1 / 2, 3 / 5])


def test_the_curve_of_rare_positives_has_the_area_of_all_its_points():
    random = np.random.default_rng(0)
    positive = np.zeros(50_000, bool)
    positive[:50] = True
    scores = (random.normal(size=50_000) + 4 * positive).astype(np.float32)
    recall, precision = probabilities.recall_and_precision(scores, positive)
    area = np.sum(np.diff(recall, prepend=0) * precision)
    assert area == pytest.approx(average_precision_score(positive, scores), abs=0.02)


def test_calibration_bins():
    p = np.array([0.1, 0.1, 0.95, 1.0], np.float32)
    chart = probabilities.calibration(p, np.array([True, False, True, True]), "x", "y")
    line = chart.figure.data[0]
    np.testing.assert_allclose(line.x, [0.1, 0.975], rtol=1e-6)
    np.testing.assert_allclose(line.y, [0.5, 1.0])


def test_a_table_with_hostile_names_and_a_threshold(table, capsys):
    path = of_table(table, "--config.evaluate.threshold=f1")
    of_run = found(path)
    counts = classification.confusion_matrix(of_run)
    assert np.trace(counts) / counts.sum() == pytest.approx(result(path)["test/accuracy"])
    assert run(["report", f"--workdir={path}"]) == 0
    page = (path / "report.html").read_text()
    assert "<b>x" not in page
    assert "&lt;/script&gt;&lt;b&gt;x" in page
    for content in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page):
        json.loads(content)
    assert "Worst mistakes" in page
    capsys.readouterr()


def test_without_the_data_the_rest_is_reported(table, capsys):
    path = of_table(table)
    table.unlink()
    assert run(["report", f"--workdir={path}"]) == 0
    page = (path / "report.html").read_text()
    assert f"Left out: no such file: {table}" in page
    assert "Worst mistakes" not in page
    assert f"{result(path)['test/accuracy']:.5g}" in page
    assert "learning rate" in page
    capsys.readouterr()


def test_several_labels(tmp_path):
    random = np.random.default_rng(0)
    rows = [
        f"{a},{b},{int(a > 0)},{int(b > 0)},{int(a + b > 0)}"
        for a, b in random.normal(size=(200, 2))
    ]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,x,y,z", *rows]) + "\n")
    metrics = "--config.evaluate.metrics=accuracy,recall_per_class"
    path = of_table(tmp_path / "t.csv", "--config.data.labels=x,y,z", metrics)
    of_run = found(path)
    assert (of_run.decisions == (of_run.targets > 0)).mean() == pytest.approx(
        result(path)["test/accuracy"]
    )
    assert run(["report", f"--workdir={path}"]) == 0
    page = (path / "report.html").read_text()
    for recall in result(path)["test/recall_per_class"]:
        assert f'<td class="number">{recall:.5g}</td>' in page
    for position in mistakes.worst(of_run):
        names = dict(mistakes.outcome(of_run, position))
        assert names["missed"] != "none" or names["predicted"] != names["labels"]


def test_a_regression(tmp_path):
    random = np.random.default_rng(0)
    rows = [f"{a},{b},{100 + 3 * a - b}" for a, b in random.normal(size=(200, 2))]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,label", *rows]) + "\n")
    target = ("--config.data.target=regression", "--config.evaluate.metrics=mae,rmse")
    label_smoothing = "--config.train.label_smoothing=0"
    path = of_table(tmp_path / "t.csv", *target, label_smoothing)
    of_run = found(path)
    errors = np.abs(of_run.predicted - of_run.targets)
    assert errors.mean() == pytest.approx(result(path)["test/mae"], rel=1e-4)
    order = mistakes.worst(of_run)
    np.testing.assert_allclose(errors[order, 0], np.sort(errors[:, 0])[::-1])
    assert run(["report", f"--workdir={path}"]) == 0
    assert "Residuals of label" in (path / "report.html").read_text()


def test_a_run_that_is_not_finished(digits, tmp_path):
    (tmp_path / "config.json").write_text((digits / "seed_0" / "config.json").read_text())
    assert run(["report", f"--workdir={tmp_path}", f"--output={tmp_path / 'page.html'}"]) == 0
    assert "not finished" in (tmp_path / "page.html").read_text()


def test_pictures_of_every_number_of_channels(digits):
    assert mistakes.section(found(digits / "seed_0")).title == "Worst mistakes"
    for channels in (1, 2, 3, 4):
        pixels = np.zeros((4, 4, channels), np.uint8)
        above = saliency._above(pixels, np.ones((4, 4), np.float32))
        assert above.shape == (8, 4, channels)
        assert above[4:].min() == 255
        assert above[:4].max() == 0
