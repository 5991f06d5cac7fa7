"""Files of a search: resuming from another trial, incomplete copies, paths."""

import os

import pytest

from trainer.io.fence import Fence, Fenced
from trainer.tune import layout


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "checkpoints" / "00000030").mkdir(parents=True)
    (folder / "checkpoints" / "00000030" / "state.index").write_bytes(b"\0\1")
    (folder / "checkpoints" / "00000030" / "manifest.json").write_text("{}")
    for name in ("config.json", "metrics.jsonl", "result.json", "signature.json"):
        (folder / name).write_text(f"{name} of the source")
    return folder


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


CONTINUED = [
    "checkpoints/00000030/manifest.json",
    "checkpoints/00000030/state.index",
    "config.json",
    "metrics.jsonl",
]


def test_continue_from_copies_what_resuming_needs(source, tmp_path):
    target = tmp_path / "target"
    layout.continue_from(source, target, lambda: None)
    assert names(target) == CONTINUED
    assert (target / "config.json").read_text() == "config.json of the source"
    linked = os.stat(target / "checkpoints" / "00000030" / "state.index")
    assert linked.st_nlink == 2


def test_incomplete_copy_is_repeated_and_a_complete_one_is_kept(source, tmp_path, monkeypatch):
    target = tmp_path / "target"
    (target / "checkpoints" / "00000030").mkdir(parents=True)
    (target / "checkpoints" / "00000030" / "state.index").write_bytes(b"\0")

    def refuse(*_):
        raise OSError("hard links are not supported")

    monkeypatch.setattr(os, "link", refuse)
    layout.continue_from(source, target, lambda: None)
    assert names(target) == CONTINUED
    assert (target / "checkpoints" / "00000030" / "state.index").read_bytes() == b"\0\1"

    (target / "metrics.jsonl").write_text("its own records")
    layout.continue_from(source, target, lambda: None)
    assert (target / "metrics.jsonl").read_text() == "its own records"


def test_copy_stops_when_the_trial_has_been_given_away(source, tmp_path):
    fence = Fence(str(tmp_path / "worker"), "a")
    (tmp_path / "worker").write_text("b")
    with pytest.raises(Fenced):
        layout.continue_from(source, tmp_path / "target", fence.check)
    assert not (tmp_path / "target").exists()


def test_layout_of_local_and_remote_directories(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert layout.Layout.of("runs/x").root == tmp_path / "runs" / "x"
    assert layout.Layout.of("runs/x").shown == "runs/x"
    remote = layout.Layout.of("gs://bucket/x")
    assert str(remote.workdir("0001", 2)) == "gs://bucket/x/trials/0001/seed_2"
    assert remote.shown == "gs://bucket/x"
