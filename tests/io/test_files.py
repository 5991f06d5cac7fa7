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


@pytest.mark.parametrize("before", [None, "old"])
def test_a_file_has_its_name_once_it_is_complete(before, tmp_path):
    path = tmp_path / "below" / "a.txt"
    if before:
        files.write_text(path, before)
    with pytest.raises(ZeroDivisionError), files.writing(path) as file:
        file.write(str(1 / 0))
    assert [each.name for each in path.parent.iterdir()] == (["a.txt"] if before else [])
    with files.writing(path) as file:
        file.write("new")
        assert path.exists() == bool(before)
    assert path.read_text() == "new"
    assert [each.name for each in path.parent.iterdir()] == ["a.txt"]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UserError, match="is a folder"), files.writing(tmp_path):
        pass
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match="cannot be written"),
        files.writing(tmp_path / "file" / "a"),
    ):
        pass
