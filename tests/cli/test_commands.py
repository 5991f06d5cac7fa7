"""The three commands, from start to end."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.cli.main import run
from trainer.engine import distribution

ROOT = Path(__file__).parent.parent.parent
SMALL = ("--config.model.filters=16,16", "--config.model.units=32", "--config.train.epochs=15")


def train(workdir, *arguments, config="configs/digits_cnn.py"):
    return run(["train", f"--config={ROOT / config}", f"--workdir={workdir}", *arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "digits"
    assert train(workdir, *SMALL) == 0
    return workdir


def read(workdir):
    return json.loads((workdir / "result.json").read_text())


def test_the_result_has_the_promised_content(trained):
    result = read(trained)
    assert result["status"] == "finished"
    assert result["task"] == "supervised"
    assert result["metrics"]["test/accuracy"] > 0.9
    assert result["metrics"]["test/loss"] < 0.4
    assert set(result["throughput"]) == {
        "examples_per_second",
        "updates_per_second",
        "input_wait_fraction",
    }
    assert set(result["seconds"]) == {"startup", "compile", "train", "evaluate", "total"}
    assert result["strategy"].startswith("strategy cpu: 1 replica on cpu")
    assert {"python", "trainer", "tensorflow", "tf_keras"} <= set(result["versions"])
    splits = [json.loads(line)["split"] for line in (trained / "metrics.jsonl").open()]
    assert {"train", "eval", "test"} == set(splits)
    assert splits.count("test") == 1
    assert list((trained / "tensorboard").iterdir())


def test_evaluate_repeats_the_test(trained, capsys):
    assert run(["evaluate", f"--workdir={trained}"]) == 0
    printed = json.loads(capsys.readouterr().out)
    result = read(trained)
    assert printed["step"] == result["checkpoint"]["step"]
    for name, value in result["metrics"].items():
        assert printed["metrics"][name.removeprefix("test/")] == pytest.approx(value, rel=1e-6)
    low, high = printed["ci95"]["accuracy"]
    assert low <= printed["metrics"]["accuracy"] <= high


def test_evaluate_takes_any_split(trained, capsys):
    assert run(["evaluate", f"--workdir={trained}", "--split=train"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["accuracy"] > 0.95
    capsys.readouterr()
    assert run(["evaluate", f"--workdir={trained}", "--split=tset"]) == 2
    assert "Did you mean 'test'?" in capsys.readouterr().err


def test_predict_reads_image_files(trained, capsys):
    files = sorted(str(path) for path in (ROOT / "docs" / "images").glob("digit_*.png"))
    assert run(["predict", f"--workdir={trained}", *files]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["file"] for line in lines] == files
    assert [line["class"] for line in lines] == [Path(file).stem[-1] for file in files]
    for line in lines:
        assert line["probability"] == max(line["probabilities"].values())
        assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_predict_names_the_file_it_cannot_read(trained, tmp_path, capsys):
    broken = tmp_path / "broken.png"
    broken.write_bytes((ROOT / "docs" / "images" / "digit_3.png").read_bytes()[:60])
    for file in (broken, tmp_path / "none.png", tmp_path):
        assert run(["predict", f"--workdir={trained}", str(file)]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert str(file) in output.err


def test_a_finished_run_says_so_and_more_epochs_continue_it(tmp_path, capsys):
    short = (*SMALL, "--config.train.epochs=2")
    assert train(tmp_path / "run", *short) == 0
    first = read(tmp_path / "run")
    capsys.readouterr()
    assert train(tmp_path / "run", *short) == 0
    assert "this run is finished at step" in capsys.readouterr().err
    assert read(tmp_path / "run") == first
    assert train(tmp_path / "run", *short, "--config.train.epochs=3") == 0
    output = capsys.readouterr()
    assert f"resuming at step {first['step']}" in output.err
    assert read(tmp_path / "run")["step"] > first["step"]


def test_config_json_repeats_the_run(trained, tmp_path, state_digest):
    assert train(tmp_path / "again", config=trained / "config.json") == 0
    assert state_digest(tmp_path / "again") == state_digest(trained)
    assert read(tmp_path / "again")["metrics"] == read(trained)["metrics"]


def test_another_seed_is_another_run(trained, tmp_path, state_digest):
    assert train(tmp_path / "other", *SMALL, "--config.seed=1") == 0
    assert state_digest(tmp_path / "other") != state_digest(trained)


def test_a_directory_of_another_configuration_is_refused(trained, capsys):
    assert train(trained, *SMALL, "--config.seed=7") == 2
    assert "seed: 0 → 7" in capsys.readouterr().err


def test_early_stopping_ends_a_run(tmp_path, capsys):
    arguments = (*SMALL, "--config.train.epochs=50", "--config.train.early_stopping=1")
    assert train(tmp_path / "run", *arguments) == 0
    result = read(tmp_path / "run")
    assert result["stopped_early"]
    capsys.readouterr()
    assert train(tmp_path / "run", *arguments) == 0
    assert "this run is finished" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_is_one_line(tmp_path, capsys):
    arguments = ("--config.model.kind=linear", "--config.optimizer.kind=sgd")
    assert train(tmp_path / "run", *arguments, "--config.optimizer.learning_rate=1e38") == 2
    errors = capsys.readouterr().err
    assert errors.count("back to 0 with the learning rate") == 2
    assert "error: the loss is " in errors
    assert not (tmp_path / "run" / "result.json").exists()


def test_the_terminal_shows_only_our_output(tmp_path):
    process = subprocess.run(
        [sys.executable, "-m", "trainer", "train", "--config=configs/digits_cnn.py",
         f"--workdir={tmp_path / 'run'}", "--config.train.epochs=2",
         f"--jit={'on' if distribution.xla_compiles_for_cpus() else 'off'}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = ("strategy cpu: ", "compiled in ")
    table = [line for line in process.stderr.splitlines() if not line.startswith(ours)]
    # A header of two lines, and one line per report.
    assert table[1].split()[:3] == ["step", "loss", "accuracy"]
    assert all(re.match(r" *\d+/\d+ ", line) for line in table[2:])
    assert max(map(len, table)) < 80
    first, second, third, fourth = process.stdout.splitlines()
    assert first.startswith("finished at step ")
    assert second.startswith("test/loss ")
    assert third.startswith(f"files in {tmp_path / 'run'}: ")
    assert fourth.startswith("next: trainer predict ")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["train", "--stratgy=cpu"], ["evaluate", "--help"]],
    ids=" ".join,
)
def test_help_and_flag_errors_answer_at_once(arguments):
    # Other work on the machine may slow one call; not all of five.
    for _ in range(5):
        started = time.perf_counter()
        process = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "trainer", *arguments],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - started
        assert "tensorflow" not in process.stderr
        if seconds < 0.5:
            return
    pytest.fail(f"answers in {seconds:.2f} s")


def test_help_lists_every_field_with_its_meaning(capsys):
    assert run(["train", "--help", f"--config={ROOT / 'configs/digits_cnn.py'}"]) == 0
    printed = capsys.readouterr().out
    assert "--config.optimizer.learning_rate=0.002" in printed
    assert "[linear | mlp | cnn | keras_cnn | convnet | lenet5 | " in printed
    assert "--virtual_devices=0" in printed


def test_every_configuration_here_is_whole(capsys):
    for path in sorted((ROOT / "configs").glob("*.py")):
        assert run(["train", "--help", f"--config={path}"]) == 0, path
        document = path.read_text().split('"""')[1]
        assert f"--config=configs/{path.name}" in document, f"{path}: no command"
        assert re.search("seconds|minutes?|hours?|days?", document), f"{path}: no duration"
    assert capsys.readouterr().out
