"""`trainer report` refuses wrong inputs in one line, and writes nothing then."""

import pytest

from trainer.cli.main import run
from trainer.config import loading


@pytest.fixture
def runs(tmp_path, request):
    """The configurations of a supervised run and an agent's."""
    for name, config in (("a", "digits_cnn.py"), ("b", "cartpole_dqn.py")):
        (tmp_path / name).mkdir()
        experiment = loading.load(str(request.config.rootpath / "configs" / config))
        (tmp_path / name / "config.json").write_text(loading.to_json(experiment))
    (tmp_path / "file").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--workdir=DIR is required"),
        (("--workdir={}/none",), "is not a work directory"),
        (("{}/a", "{}/none"), "is not a work directory"),
        (("{}/a", "{}/b"), "only runs of one task can be compared"),
        (("{}/a", "{}/a/"), "each directory must be given once"),
        (("{}/a", "--output={}"), "--output must be a file"),
        (("{}/a", "--output={}/file/page.html"), "cannot be written"),
        (("{}/a", "--strategy=multi_worker"), "report runs in one process"),
        (("{}/a", "--outptu=x"), "Did you mean '--output'?"),
    ],
    ids=lambda value: None if isinstance(value, tuple) else value.split()[0],
)
def test_wrong_inputs(arguments, message, runs, capsys):
    assert run(["report", *(argument.format(runs) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not list(runs.glob("**/*.html*"))
