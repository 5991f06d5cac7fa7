"""The memory that data may take, under the limits of control groups and of the address space."""

import subprocess
import sys

import psutil
import pytest

from trainer.errors import UserError
from trainer.io import memory

GIB = 2**30


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_CONTROL_GROUP", tmp_path)
    return tmp_path


def test_without_limits_it_is_a_share_of_what_the_machine_has_left(root):
    del root
    assert 0.5 * psutil.virtual_memory().available < memory.usable()
    assert memory.usable() < psutil.virtual_memory().available


@pytest.mark.parametrize("version", [1, 2])
def test_a_control_group_limits_it(root, version):
    if version == 2:
        write(root, memory__max=f"{GIB}\n", memory__current=f"{GIB // 2}\n")
        write(root, memory__stat=f"anon 5\ninactive_file {GIB // 4}\n")
    else:
        folder = root / "memory"
        write(folder, memory__limit_in_bytes=f"{GIB}", memory__usage_in_bytes=f"{GIB // 2}")
        write(folder, memory__stat=f"total_inactive_file {GIB // 4}\n")
    assert memory.usable() == int(0.8 * (GIB - GIB // 4))
    assert memory.fits(GIB // 2)
    with pytest.raises(UserError, match=r"data needs 0.7 GiB of memory, but only 0.6 GiB are"):
        memory.check_fits(int(0.7 * GIB), "use less", "data")


def test_a_group_without_a_limit_does_not(root):
    write(root, memory__max="max\n", memory__current="7\n", memory__stat="inactive_file 0\n")
    assert memory.usable() > GIB


def test_ulimit_limits_it():
    code = "from trainer.io import memory; print(memory.usable())"
    command = f"ulimit -v {2 * 2**20}; exec {sys.executable} -c '{code}'"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 0.8 * 2 * GIB
