"""Which of the user's modules travel with a job."""

import pytest

from trainer.cloud.code import local_files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "package" / "nested").mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "nested" / "__init__.py").write_text("import helper\n")
    (tmp_path / "helper.py").write_text("import numpy, json\nfrom shared import base\n")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "base.py").write_text("from . import other\nimport helper\n")
    (tmp_path / "unused.py").touch()
    return tmp_path


def names(folder, files=(), modules=()):
    found = local_files([str(folder / file) for file in files], modules, str(folder))
    return sorted(path.removeprefix(f"{folder}/") for path in found)


def test_imports_of_a_configuration_are_followed(folder):
    (folder / "config.py").write_text("def get_config():\n    from shared.base import x\n")
    assert names(folder, ["config.py"]) == ["helper.py", "shared"]


def test_module_of_a_class_is_found_with_its_package(folder):
    assert names(folder, modules=["package.nested.envs"]) == ["helper.py", "package", "shared"]


def test_installed_packages_and_trainer_stay(folder):
    (folder / "config.py").write_text("import numpy\nimport trainer.config\nimport os.path\n")
    assert names(folder, ["config.py"], ["gymnasium", "missing"]) == []


def test_file_that_is_not_python_has_no_imports(folder):
    (folder / "broken.py").write_text("def (:\n")
    (folder / "config.json").write_text("{}")
    assert names(folder, ["broken.py", "config.json"]) == []
