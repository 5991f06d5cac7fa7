"""Rules of the layout, checked in the source."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "trainer"
# Bottom to top, as in docs/decisions/0012-layout.md; a module imports from lower layers and
# from its own package. Packages of one layer do not import each other.
ROWS = (
    ("errors",),
    ("compat",),
    ("io",),
    ("config",),
    ("metrics", "optim", "models", "data", "pages"),
    ("engine",),
    ("cloud", "doctor", "tune"),
    ("supervised", "rl"),
    ("export", "report"),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(path):
    """The top-level module or package of a file."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path):
    """Full names of what a file imports, in functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = {module(path): path for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    own = room(path)
    for name in imported(path):
        parts = name.split(".")
        if parts[0] != "trainer" or len(parts) < 2 or parts[1] not in RANK:
            continue
        assert parts[1] == own or RANK[parts[1]] < RANK[own], f"{own} imports {name}"


def test_there_are_no_import_cycles():
    edges = {
        name: {other for other in imported(path) if other in MODULES and other != name}
        for name, path in MODULES.items()
    }
    while edges:
        leaves = {name for name, others in edges.items() if not others}
        assert leaves, f"a circle among {sorted(edges)}"
        edges = {name: others - leaves for name, others in edges.items() if name not in leaves}


def test_keras_has_one_import_point():
    for path in FILES:
        # The second is a program of its own, which does not load the package.
        if path in (PACKAGE / "compat" / "keras.py", PACKAGE / "export" / "standalone.py"):
            continue
        keras = [name for name in imported(path) if name.split(".")[0] in ("keras", "tf_keras")]
        assert keras == [], path
        assert "tf.keras" not in path.read_text(), path


def test_there_are_no_catch_all_modules():
    assert [path for path in FILES if path.stem in ("utils", "util", "helpers", "misc")] == []


def test_no_file_has_grown_beyond_one_idea():
    for path in FILES:
        assert len(path.read_text().splitlines()) <= 400, path


# Tests of the whole program, and of several modules together.
WHOLE_PROGRAM = {
    "cli/test_commands.py",
    "cli/test_wrong_inputs.py",
    "engine/test_crashes.py",
    "engine/test_several_workers.py",
    "io/test_gcs.py",
    "models/test_formulas.py",
    "models/test_parameter_counts.py",
    "models/test_registry.py",
    "report/test_browser.py",
    "rl/envs/test_classic.py",
    "rl/test_compiled_functions.py",
    "rl/test_exact_resume.py",
    "rl/test_learning.py",
    "rl/test_several_workers.py",
    "supervised/test_blind_to_test.py",
    "supervised/test_exact_resume.py",
    "tune/test_search_on_hosts.py",
    "tune/test_searches_that_find.py",
}


def test_test_files_mirror_the_package():
    tests = Path(__file__).parent
    modules = {path.relative_to(PACKAGE) for path in FILES}
    for path in sorted(tests.glob("*/**/test_*.py")):
        relative = path.relative_to(tests)
        mirrored = relative.with_name(relative.name.removeprefix("test_"))
        is_simulation = relative.parts[:2] == ("cloud", "simulation")
        if (
            relative.parts[0] != "tools"
            and not is_simulation
            and str(relative) not in WHOLE_PROGRAM
        ):
            assert mirrored in modules, f"{relative} is named after no module"
