import sys
from pathlib import Path

import pytest


@pytest.fixture
def in_users_folder(monkeypatch):
    """The current directory is one where a user's module lies."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(Path(__file__).parent)
