import itertools
import sys

import pytest

from trainer.config import user_code
from trainer.errors import UserError

counter = itertools.count()


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """A function: writes a module into the current directory and returns its unique name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(text):
        name = f"user_module_{next(counter)}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


def test_attribute_is_loaded_from_the_current_directory(write_module):
    name = write_module("def build():\n    return 3\n")
    assert user_code.load(f"{name}:build", "model.builder")() == 3


def test_attribute_is_loaded_from_a_package(write_module):
    write_module("")
    assert user_code.load("os.path:join", "model.builder") is __import__("os").path.join


@pytest.mark.parametrize("target", ["", "build", "module:", ":build"])
def test_wrong_form_is_rejected(target):
    with pytest.raises(UserError, match="must have the form module:attribute") as e:
        user_code.load(target, "model.builder")
    assert f"Received: {target!r}" in str(e.value)


@pytest.mark.parametrize("name", ["no_such_module", "no_such.module", "json.no_such_module"])
def test_missing_module_is_reported(write_module, name):
    write_module("")
    expected = f"data.source: there is no module '{name}'"
    with pytest.raises(UserError, match=expected.replace(".", r"\.")):
        user_code.load(f"{name}:build", "data.source")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import no_such_dependency", "No module named 'no_such_dependency'"),
        ("def broken(:", "SyntaxError"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
    ],
)
def test_module_that_fails_on_import_is_reported_in_one_line(write_module, text, expected):
    name = write_module(text)
    with pytest.raises(UserError, match=f"module '{name}' fails on import") as caught:
        user_code.load(f"{name}:build", "model.builder")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_attribute_suggests_a_similar_one(write_module):
    name = write_module("def build(): pass\n_private = 1\n")
    with pytest.raises(UserError, match=r"Did you mean 'build'\? Known: build\.") as caught:
        user_code.load(f"{name}:bild", "model.builder")
    assert f"attribute of module '{name}' in model.builder" in str(caught.value)


def test_module_is_imported_alone(write_module):
    assert user_code.import_module(write_module("x = 1"), "environment.name").x == 1
