import json
import os
import tempfile

import pytest

from trainer.doctor import environment

ROOT = os.geteuid() == 0


def cluster(*workers, index=0):
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": workers}, "task": task})


@pytest.mark.parametrize(
    ("text", "level", "said"),
    [
        ("", "ok", "one host"),
        (cluster("127.0.0.1:1", "localhost:2"), "ok", "2 processes"),
        ('{"token": "hidden', "fail", "JSONDecodeError"),
        (cluster("127.0.0.1:1", index=1), "fail", "task index 1 of 1"),
        (cluster("127.0.0.1:1", "127.0.0.1:1"), "fail", "duplicate address"),
        (cluster("127.0.0.1"), "fail", "host:port"),
        (cluster("127.0.0.1:1", "no-such-host.invalid:1"), "fail", "no-such-host.invalid:1"),
    ],
)
def test_check_hosts(text, level, said, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    finding = environment.check_hosts()
    assert finding.level == level
    assert said in finding.text
    assert (level == "ok") == (not finding.remedy)


def test_new_workdir_is_ok_and_not_created(tmp_path):
    findings = environment.check_workdir(str(tmp_path / "runs" / "new"))
    assert [finding.level for finding in findings] == ["ok", "ok"]
    assert list(tmp_path.iterdir()) == []


def test_workdir_that_is_not_writable_fails(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "closed").mkdir(mode=0o555)
    closed = "/proc/run" if ROOT else str(tmp_path / "closed" / "run")
    for path in (str(tmp_path / "file"), closed):
        findings = environment.check_workdir(path)
        assert [finding.level for finding in findings] == ["fail"], path
        assert "chown" in findings[0].remedy


def test_check_data_dir(tmp_path):
    (tmp_path / "mnist").mkdir()
    assert environment.check_data_dir(str(tmp_path), True).text.endswith("1 entries")
    for is_required, level in ((True, "fail"), (False, "warn")):
        missing = environment.check_data_dir(str(tmp_path / "none"), is_required)
        assert missing.level == level
        assert "--data_dir" in missing.remedy


def test_missing_temporary_directory_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "none")])
    finding = environment.check_temporary()
    assert finding.level == "fail"
    assert "--tmpfs" in finding.remedy
