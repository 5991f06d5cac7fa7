"""Parts of an attempt; the simulated cloud runs whole ones."""

import json

import pytest

from trainer.cloud.google.machine import attempt


@pytest.mark.parametrize(
    ("task", "host"),
    [
        (None, 0),
        ({"type": "chief", "index": 0}, 0),
        ({"type": "worker", "index": 0}, 1),
        ({"type": "worker", "index": 2}, 3),
    ],
)
def test_number_of_a_container_of_vertex(task, host):
    text = json.dumps({"cluster": {}, "task": task}) if task else ""
    assert attempt.host_of_vertex(text) == host


def test_container_gets_the_devices_of_the_tpu_or_the_gpus(monkeypatch):
    files = {"/dev/accel*": ["/dev/accel1", "/dev/accel0"], "/dev/vfio/*": []}
    monkeypatch.setattr(attempt.glob, "glob", files.__getitem__)
    assert attempt.device_flags() == ["--device=/dev/accel0", "--device=/dev/accel1"]
    files.update({"/dev/accel*": [], "/dev/vfio/*": ["/dev/vfio/0", "/dev/vfio/vfio"]})
    assert attempt.device_flags() == ["--device=/dev/vfio/0", "--device=/dev/vfio/vfio"]
    files["/dev/vfio/*"] = []
    assert attempt.device_flags() == ["--gpus=all"]


def test_machine_without_a_supported_python_is_refused(monkeypatch, tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(attempt.Refused, match=r"no Python 3\.10 to 3\.13"):
        attempt._python()
    new = tmp_path / "python3.11"
    new.write_text("#!/bin/sh\nexit 0\n")
    new.chmod(0o755)
    assert attempt._python() == str(new)
