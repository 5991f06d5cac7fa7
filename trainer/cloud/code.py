"""Finds the user's own modules that a configuration needs, so that they travel with a job."""

import ast
import importlib.machinery
from collections.abc import Iterable
from pathlib import Path


def local_files(files: Iterable[str], modules: Iterable[str], root: str) -> list[str]:
    """The files of the modules below a folder that Python files and module names lead to.

    Imports are followed. A package is taken as a whole, because it may read files of its own.

    Args:
      files: Python files, for example of configurations; they are not part of the result.
      modules: names of modules, for example `my_package.envs`.
      root: the folder from which the modules are imported, which is the current one.

    Returns:
      Paths of files and folders.
    """
    found: dict[str, None] = {}
    pending = [*modules]
    for file in files:
        if Path(file).suffix == ".py":
            pending += _imports(Path(file))
    while pending:
        top = pending.pop().partition(".")[0]
        spec = importlib.machinery.PathFinder.find_spec(top, [root]) if top else None
        if spec is None or top == "trainer":
            continue
        folders = list(spec.submodule_search_locations or ())
        paths = folders or ([spec.origin] if spec.origin else [])
        for path in paths:
            if path not in found:
                found[path] = None
                sources = Path(path).rglob("*.py") if folders else [Path(path)]
                pending += [name for source in sources for name in _imports(source)]
    return list(found)


def _imports(file: Path) -> list[str]:
    """The absolute names that a file imports; empty if it is not Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return names
