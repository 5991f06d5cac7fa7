"""The comparison of runs shows what differs, and the figures of each result.json."""

import json

import pytest

from trainer.cli.main import run
from trainer.report import comparison


@pytest.fixture(scope="module")
def directory(tmp_path_factory, request):
    """Two finished runs of a tiny network, one with two seeds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(request.config.rootpath)
        path = tmp_path_factory.mktemp("runs")
        small = ("--config.model.kind=mlp", "--config.model.units=8", "--config.train.steps=20")
        config = ("train", "--config=configs/digits_cnn.py", *small)
        assert run([*config, f"--workdir={path / 'a'}"]) == 0
        seeds = ("--config.seeds=2", "--config.optimizer.kind=adamw")
        assert run([*config, *seeds, f"--workdir={path / 'b'}"]) == 0
        (path / "open").mkdir()
        (path / "open" / "config.json").write_text((path / "a" / "config.json").read_text())
        return path


def test_results_and_differences(directory, capsys):
    paths = [str(directory / name) for name in ("a", "b", "open")]
    assert run(["report", *paths]) == 0
    assert capsys.readouterr().out.strip() == f"{paths[0]}/comparison.html"
    page = (directory / "a" / "comparison.html").read_text()
    values = [
        json.loads((directory / name / "result.json").read_text())["metrics"]["test/accuracy"]
        for name in ("a", "b")
    ]
    cells = "".join(f'<td class="number">{value:.5g}</td>' for value in values)
    assert f"<td>test/accuracy</td>{cells}" in page
    assert "<td>optimizer.kind</td><td>adam</td><td>adamw</td><td>adam</td>" in page
    assert "<td>seeds</td><td>1</td><td>2</td><td>1</td>" in page
    assert "<td>model.units</td>" not in page
    assert "open: not finished" in page


def test_output_and_equal_configurations(directory, capsys):
    output = directory / "page.html"
    paths = [str(directory / name) for name in ("a", "open")]
    assert run(["report", f"--workdir={paths[0]}", paths[1], f"--output={output}"]) == 0
    assert "The configurations are equal." in output.read_text()
    capsys.readouterr()


def test_curves_are_means_over_seeds(directory):
    experiment = comparison.load_experiment(str(directory / "b"))
    curves = comparison._curves(experiment, str(directory / "b"))
    seeds = [
        [json.loads(line) for line in (directory / "b" / seed / "metrics.jsonl").open()]
        for seed in ("seed_0", "seed_1")
    ]
    expected = [
        (a["step"], pytest.approx((a["metrics"]["loss"] + b["metrics"]["loss"]) / 2))
        for a, b in zip(*seeds, strict=True)
        if a["split"] == "eval"
    ]
    assert curves["eval/loss"] == expected


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/a", "runs/b"], ["a", "b"]),
        (["x/run", "y/run", "z"], ["x/run", "y/run", "z"]),
        (["run", "x/run"], ["run", "x/run"]),
    ],
)
def test_names_tell_runs_apart(paths, names):
    assert comparison._names(paths) == names
