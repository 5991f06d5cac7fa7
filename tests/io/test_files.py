import os

import pytest

from trainer.errors import UserError
from trainer.io import files


def test_atomic_write_creates_the_parent_and_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "new" / "a.json"
    files.write_json(path, {"b": "é"})
    files.write_json(str(path), {"b": "ö"})
    assert files.read_json(path) == {"b": "ö"}
    assert [path.name for path in path.parent.iterdir()] == ["a.json"]


def test_failed_write_keeps_the_previous_content(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    files.write_text(path, "before")

    def fail(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        files.write_text(path, "after")
    assert files.read_text(path) == "before"


def test_read_bytes_names_the_file_and_the_reason(tmp_path):
    (tmp_path / "a").write_bytes(b"\0\xff")
    assert files.read_bytes(tmp_path / "a") == b"\0\xff"
    with pytest.raises(UserError, match=f"no such file: {tmp_path}/none"):
        files.read_bytes(tmp_path / "none")
    with pytest.raises(UserError, match=f"{tmp_path} cannot be read: Is a directory"):
        files.read_bytes(tmp_path)
