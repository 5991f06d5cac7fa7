"""Objects from a user's own modules, named `module:attribute` in a configuration."""

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from trainer.errors import UserError, unknown_name


def load(target: str, what: str) -> Any:
    """Imports a module and returns one of its attributes.

    The module is found in the current directory, on PYTHONPATH, or among installed packages.

    Args:
      target: `module:attribute`, for example `my_models:build` or `package.module:Class`.
      what: the configuration field that holds it, for errors.

    Raises:
      UserError: if the module does not exist or fails on import, or lacks the attribute.
    """
    module_name, _, attribute = target.rpartition(":")
    if not (module_name and attribute):
        raise UserError(
            f"{what} must have the form module:attribute, for example my_module:my_function. "
            f"Received: {target!r}"
        )
    module = import_module(module_name, what)
    if not hasattr(module, attribute):
        public = [name for name in vars(module) if not name.startswith("_")]
        raise unknown_name(f"attribute of module {module_name!r} in {what}", attribute, public)
    return getattr(module, attribute)


def import_module(name: str, what: str) -> ModuleType:
    """Imports a user's module; `what` names the configuration field in errors.

    Raises:
      UserError: if the module does not exist or fails on import.
    """
    # The console script, unlike `python -m`, does not search the current directory.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    # A user's module may raise anything, and a script may call sys.exit().
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise UserError(
                f"{what}: there is no module {name!r}; install it, or run the command in the "
                "directory that contains it"
            ) from error
        raise UserError(
            f"{what}: module {name!r} fails on import with {describe(error)}"
        ) from error


def describe(error: BaseException) -> str:
    """Returns an exception as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
