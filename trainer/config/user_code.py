"""User code named in a configuration as `module:attribute`."""

import importlib
import os
import sys
from typing import Any

from trainer.errors import UserError, unknown_name


def load(reference: str, what: str) -> Any:
    """The object that `module:attribute` names."""
    module_name, _, attribute = reference.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise UserError(f"{what}: cannot import {module_name!r}: {error}") from error
    if not hasattr(module, attribute):
        raise unknown_name(f"{what} in {module_name!r}", attribute, vars(module))
    return getattr(module, attribute)
