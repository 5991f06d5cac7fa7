"""Skews of versions, made by metadata that lie before the installed ones on the path."""

import sys
from importlib import metadata

import pytest
from packaging.specifiers import SpecifierSet

from trainer.doctor import packages

REQUIRES = "".join(f"\nRequires-Dist: {line}" for line in metadata.requires("trainer"))


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function: makes a package look installed, in a version; nothing else is but trainer."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    def install(name, version, more=""):
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}{more}"
        (folder / "METADATA").write_text(text)

    install("trainer", "0.1.0", REQUIRES)
    return install


def failures():
    return [finding for finding in packages.check_packages() if finding.level == "fail"]


def test_what_is_installed_goes_together():
    assert failures() == []
    assert packages.check_python().level == "ok"


@pytest.mark.parametrize(
    ("installed", "text", "remedy"),
    [
        ({"numpy": "1.25.2"}, "numpy is 1.25.2, not >=1.26", "pip install 'numpy>=1.26'"),
        (
            {"tf-agents": "0.18.0"},
            "tf-agents is 0.18.0, not ==0.19.0",
            "pip install --no-deps 'tf-agents==0.19.0'",
        ),
        ({"tensorflow": "2.18.1"}, "tensorflow is 2.18.1, not <2.22,>=2.19", "tensorflow<2.22"),
        (
            {"tensorflow-cpu": "2.21.0", "tf_keras": "2.20.1"},
            "tf_keras 2.20.1 does not go with tensorflow-cpu 2.21.0",
            "pip install --no-deps 'tf_keras==2.21.*'",
        ),
        (
            {"tensorflow": "2.21.0", "tensorflow-cpu": "2.21.0"},
            "tensorflow and tensorflow-cpu overwrite each other's files",
            "pip uninstall tensorflow tensorflow-cpu",
        ),
        (
            {"tensorflow-tpu": "2.19.1", "libtpu": "0.0.52"},
            "libtpu is 0.0.52; tensorflow-tpu needs 0.0.10",
            "'libtpu==0.0.10'",
        ),
        ({"tensorflow-tpu": "2.19.1"}, "libtpu is not installed", "'libtpu==0.0.10'"),
    ],
)
def test_a_skew_is_named_with_its_remedy(installed, text, remedy, install):
    for name, version in installed.items():
        install(name, version)
    assert any(text in one.text and remedy in one.remedy for one in failures()), failures()


def test_the_pinned_tpu_stack_is_no_skew(install):
    for name, version in (
        ("tensorflow-tpu", "2.19.1"),
        ("libtpu", "0.0.10"),
        ("tf_keras", "2.19.0"),
    ):
        install(name, version)
    assert {one.text.split()[0] for one in failures()}.isdisjoint(
        {"tensorflow", "tf_keras", "libtpu"}
    )
    assert "numpy is not installed" in [one.text for one in failures()]


def test_a_build_for_tpus_that_cannot_use_the_newer_ones_is_a_warning(install):
    for name, version in (("tensorflow-tpu", "2.20.0"), ("tf_keras", "2.20.1")):
        install(name, version)
    (finding,) = [one for one in packages.check_packages() if one.level == "warn"]
    assert finding.text == "tensorflow-tpu 2.20.0 cannot use TPU v5e, v5p and v6e"
    assert "requirements/tpu.txt" in finding.remedy


def test_without_tf_agents_only_agents_are_out_of_reach(install):
    """On Python 3.12 and later a plain pip install leaves TF-Agents out."""
    findings = [one for one in packages.check_packages() if "tf-agents" in one.text]
    (finding,) = findings
    assert finding.level == ("fail" if sys.version_info < (3, 12) else "warn")
    assert "tf-agents is not installed" in finding.text
    install("tf-agents", "0.19.0")
    assert not any("tf-agents" in one.text for one in packages.check_packages())


@pytest.mark.parametrize(
    ("version", "level"),
    [((3, 9), "fail"), ((3, 10), "ok"), ((3, 13), "ok"), ((3, 14), "fail")],
)
def test_the_pythons_are_those_of_setup(version, level, monkeypatch):
    specifier = SpecifierSet(metadata.metadata("trainer")["Requires-Python"])
    assert specifier.contains(".".join(map(str, version))) == (level == "ok")
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    assert packages.check_python().level == level


def test_a_package_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert [one.text for one in failures()] == ["trainer itself is not installed"]
