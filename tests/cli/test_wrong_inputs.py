"""Whatever the user gets wrong: exit status 2, one line, no traceback, nothing left behind."""

import numpy as np
import pytest
from PIL import Image

from trainer.cli.main import run

CONFIG = "configs/digits_cnn.py"


def train(*arguments, config=CONFIG):
    return ["train", f"--config={config}", "--workdir=run", *arguments]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content)


def image(path, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(abs(hash(path.name))).integers(0, 255, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def folder(*overrides):
    return train("--config.data.kind=image_folder", "--config.data.path=images", *overrides)


def two_classes(here):
    for name in ("cat", "dog"):
        for number in range(30):
            image(here / "images" / name / f"{number}.png")


def csv(*overrides):
    return train(
        "--config.data.kind=csv", "--config.data.path=t.csv", "--config.model.kind=mlp", *overrides
    )


def rows(*lines):
    return "\n".join(["a,b,label", *lines]) + "\n"


def tune(*arguments, search="s.py"):
    return ["tune", f"--config={CONFIG}", f"--search={search}", "--workdir=run", *arguments]


def search(text):
    """Makes a search file."""
    lines = ("from trainer.tune.space import *", "def get_search():", f"    return {text}", "")
    return lambda here: write(here / "s.py", "\n".join(lines))


def over(dimension, objective="eval/loss"):
    return search(f'Search(Objective("{objective}", "min"), ({dimension},))')


LEARNING_RATE = 'LogUniform("optimizer.learning_rate", 1e-4, 1e-1)'
GOOD_ROWS = [f"{i},{i * i % 7},{'yes' if i % 2 else 'no'}" for i in range(60)]

# name: (arguments, what the line must say, what to make first).
CASES = {
    "unknown command": (["trian"], "Did you mean 'train'?"),
    "unknown flag": (train("--workdri=x"), "Did you mean '--workdir'?"),
    "flag of a wrong type": (train("--virtual_devices=two"), "virtual_devices=two"),
    "junk after the flags": (train("now"), "Received: now"),
    "no configuration": (["train", "--workdir=run"], "--config=FILE is required"),
    "empty --config": (["train", "--config=", "--workdir=run"], "--config takes a single file"),
    "missing configuration file": (train(config="configs/digit_cnn.py"), "Did you mean"),
    "a folder as configuration": (train(config="configs"), "'configs' does not exist"),
    "configuration of another kind": (train(config="README.md"), "must end in .py or .json"),
    "configuration with a syntax error": (
        train(config="broken.py"),
        "SyntaxError",
        lambda here: write(here / "broken.py", "def get_config(:"),
    ),
    "configuration that is empty": (
        train(config="empty.py"),
        "must define a function get_config()",
        lambda here: write(here / "empty.py", ""),
    ),
    "configuration in broken JSON": (
        train(config="c.json"),
        "is not valid JSON",
        lambda here: write(here / "c.json", '{"task": '),
    ),
    "unknown field": (train("--config.train.epoch=3"), "Did you mean 'train.epochs'?"),
    "unknown model": (
        train("--config.model.kind=resnett"),
        "'resnet'? Known: airbench, alexnet",
    ),
    "unknown source": (train("--config.data.kind=digit"), "Did you mean 'digits'?"),
    "unknown optimizer": (train("--config.optimizer.kind=adma"), "Did you mean 'adam"),
    "text for a number": (train("--config.train.epochs=many"), "of type float"),
    "fraction for a count": (train("--config.train.steps=0.5"), "of type int"),
    "negative learning rate": (train("--config.optimizer.learning_rate=-1"), "must be > 0"),
    "learning rate nan": (train("--config.optimizer.learning_rate=nan"), "Received: nan"),
    "nothing left to train on": (train("--config.data.test_fraction=0.95"), "must be < 1"),
    "override without a value": (train("--config.train.steps="), "of type int"),
    "unknown strategy": (train("--strategy=mirored"), "Did you mean 'mirrored'?"),
    "unknown precision": (train("--precision=bfloat16"), "Did you mean 'mixed_bfloat16'?"),
    "unknown jit": (train("--jit=yes"), "Known: auto, off, on"),
    "no GPU": (train("--strategy=gpu"), "no GPU is visible"),
    "no cluster": (train("--strategy=multi_worker"), "TF_CONFIG"),
    "--tpu with another strategy": (train("--strategy=cpu", "--tpu=x"), "--strategy=tpu"),
    "no TPU": (train("--strategy=tpu"), "this machine has no TPU"),
    "no local TPU": (train("--tpu=local"), "this machine has no TPU"),
    "the name of a TPU": (train("--tpu=name"), "several are not supported yet. Received: --tpu=na"),
    "negative virtual devices": (train("--virtual_devices=-1"), "must be >= 0"),
    "batch that does not divide": (
        train("--strategy=mirrored", "--config.train.global_batch_size=33"),
        "take 32 or 34. Received: 33",
    ),
    "batch larger than the data": (
        train("--config.train.global_batch_size=5000"),
        "train.global_batch_size must be at most",
    ),
    "steps to profile in reverse": (train("--profile_steps=20,10"), "Received: '20,10'"),
    "steps to profile in words": (train("--profile_steps=a"), "must be FIRST,LAST"),
    "negative steps to profile": (train("--profile_steps=-1,5"), "must be FIRST,LAST"),
    "a profile of several runs": (
        train("--profile_steps=1,5", "--config.seeds=2"),
        "add --config.seeds=1. Received: seeds=2",
    ),
    "no work directory": (["train", f"--config={CONFIG}"], "--workdir=DIR"),
    "a file as work directory": (
        train("--workdir=file"),
        "is a file, not a directory",
        lambda here: write(here / "file", ""),
    ),
    "a foreign work directory": (
        train("--workdir=home"),
        "not a run of trainer",
        lambda here: write(here / "home" / "thesis.txt", "mine"),
    ),
    "an unwritable work directory": (train("--workdir=/proc/run"), "--workdir"),
    "a work directory with a broken config.json": (
        train("--workdir=old"),
        "is not valid JSON",
        lambda here: write(here / "old" / "config.json", "{"),
    ),
    "a model too deep for the images": (train("--config.model.kind=convnet"), "to nothing"),
    "a set that is not prepared": (
        train("--config.data.kind=tfds", "--config.data.name=mnist", "--data_dir=none"),
        "--data_dir",
    ),
    "a set that does not exist": (
        train("--config.data.kind=tfds", "--config.data.name=mnits", "--data_dir=none"),
        "mnits",
    ),
    "no image folder": (folder(), "Received: 'images'"),
    "no path": (train("--config.data.kind=image_folder"), "data.path"),
    "an empty image folder": (folder(), "images", lambda here: (here / "images").mkdir()),
    "one class": (folder(), "two classes", lambda here: image(here / "images" / "cat" / "1.png")),
    "an empty class": (
        folder(),
        "cow",
        lambda here: (two_classes(here), (here / "images" / "cow").mkdir()),
    ),
    "a truncated image": (
        folder(),
        "7.png",
        lambda here: (two_classes(here), truncate(here / "images" / "cat" / "7.png")),
    ),
    "an empty image": (
        folder(),
        "7.png",
        lambda here: (two_classes(here), write(here / "images" / "cat" / "7.png", b"")),
    ),
    "a text that calls itself an image": (
        folder(),
        "7.png",
        lambda here: (two_classes(here), write(here / "images" / "cat" / "7.png", "cat")),
    ),
    "images of two sizes": (
        folder(),
        "image_size",
        lambda here: (two_classes(here), image(here / "images" / "cat" / "7.png", (9, 8))),
    ),
    "no table": (csv(), "t.csv"),
    "an empty table": (csv(), "t.csv", lambda here: write(here / "t.csv", "")),
    "a header alone": (csv(), "t.csv", lambda here: write(here / "t.csv", rows())),
    "a text cell": (
        csv(),
        "line 2",
        lambda here: write(here / "t.csv", rows("1,red,yes", *GOOD_ROWS)),
    ),
    "an empty cell": (
        csv(),
        "line 2",
        lambda here: write(here / "t.csv", rows("1,2,", *GOOD_ROWS)),
    ),
    "a continuous label": (
        csv(),
        "line 2, column 'label' must be a class; set data.target=regression",
        lambda here: write(here / "t.csv", rows(*(f"{i},{-i},{i / 4 + 2}" for i in range(1, 90)))),
    ),
    "a label that counts": (
        csv(),
        "'label' has 60 different numbers in 100 rows, too many for classes",
        lambda here: write(here / "t.csv", rows(*(f"{i},{-i},{i % 60}.0" for i in range(100)))),
    ),
    "a seed that NumPy cannot take": (train("--config.seed=5000000000"), "seed must be >= 0 and <"),
    "an infinite number in a table": (
        csv(),
        "line 3",
        lambda here: write(here / "t.csv", rows("1,2,no", "1,1e99,yes", *GOOD_ROWS)),
    ),
    "a row too short": (
        csv(),
        "line 62",
        lambda here: write(here / "t.csv", rows(*GOOD_ROWS, "1,2")),
    ),
    "no label column": (
        csv("--config.data.label=lable"),
        "Did you mean 'label'?",
        lambda here: write(here / "t.csv", rows(*GOOD_ROWS)),
    ),
    "images wanted, a table given": (
        csv("--config.model.kind=cnn", "--config.train.global_batch_size=4"),
        "use mlp or linear",
        lambda here: write(here / "t.csv", rows(*GOOD_ROWS)),
    ),
    "a search without its file": (["tune", f"--config={CONFIG}", "--workdir=run"], "--search=FILE"),
    "a missing search file": (tune(search="configs/tune/digit.py"), "Did you mean"),
    "a configuration as search": (tune(search=CONFIG), "must define a function get_search()"),
    "a search that is none": (tune(), "must return a Search", search("3")),
    "a search that breaks": (tune(), "s.py", search("1 / 0")),
    "a search of an unknown field": (
        tune(),
        "Did you mean 'optimizer.learning_rate'?",
        over(LEARNING_RATE.replace("rate", "rat")),
    ),
    "a search of a refused value": (
        tune(),
        "invalid at model.dropout=1.5",
        over('Uniform("model.dropout", 0.0, 1.5)'),
    ),
    "a search of a wrong range": (tune(), "low must be < high", over('Uniform("seed", 1, 1)')),
    "a search for an unknown metric": (
        tune(),
        "Did you mean 'eval/accuracy'?",
        over(LEARNING_RATE, "eval/acuracy"),
    ),
    "a search for the test split": (
        tune(),
        "must not use the test split",
        over(LEARNING_RATE, "test/accuracy"),
    ),
    "a search with a wrong flag": (tune("--max_trial=3"), "Did you mean '--max_trials'?"),
    "evaluate without a run": (["evaluate", "--workdir=run"], "no config.json"),
    "evaluate with a file": (["evaluate", "--workdir=run", "x.png"], "takes flags only"),
    "predict without a run": (["predict", "--workdir=run", "x.png"], "no config.json"),
    "predict in another format": (
        ["predict", "--workdir=run", "x.png", "--format=xml"],
        "<jsonl|csv>",
    ),
    "evaluate a negative number of episodes": (
        ["evaluate", "--workdir=run", "--episodes=-1"],
        "episodes",
    ),
    "evaluate with a field without a value": (
        ["evaluate", "--workdir=run", "--data.path"],
        "--data.FIELD=value is needed",
    ),
    "predict without files": (["predict", "--workdir=run"], "at least one PATH"),
}


def truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


@pytest.fixture
def here(tmp_path, monkeypatch, request):
    """A fresh current directory that has the project's configs in it."""
    (tmp_path / "configs").symlink_to(request.config.rootpath / "configs")
    (tmp_path / "README.md").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_one_line_and_nothing_left_behind(name, here, capfd):
    arguments, expected, *make = CASES[name]
    for function in make:
        function(here)
    before = sorted(here.rglob("*"))

    assert run(arguments) == 2

    lines = capfd.readouterr().err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1, lines
    assert expected in errors[0]
    # Besides the error, the line that says which strategy was taken.
    assert [line for line in lines if not line.startswith(("error: ", "strategy "))] == []
    assert sorted(here.rglob("*")) == before


def test_tf_config_that_is_wrong(here, capfd, monkeypatch):
    for text in ("{", '{"cluster": {}}', '{"cluster": {"worker": ["a:1"]}, "task": 3}'):
        monkeypatch.setenv("TF_CONFIG", text)
        assert run(train()) == 2
        assert "error: TF_CONFIG is invalid" in capfd.readouterr().err
        assert not (here / "run").exists()
