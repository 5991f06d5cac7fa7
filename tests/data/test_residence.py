import pytest

from trainer.data.residence import is_on_disk
from trainer.errors import UserError

HUGE = 2**60


@pytest.mark.parametrize("needed", [0, HUGE])
def test_disk_needs_no_memory(needed, capsys):
    assert is_on_disk("disk", needed, "data")
    assert capsys.readouterr().err == ""


def test_auto_takes_memory_if_it_suffices_and_says_if_not(capsys):
    assert not is_on_disk("auto", 1, "data")
    assert capsys.readouterr().err == ""
    assert is_on_disk("auto", HUGE, "data")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("data needs 1073741824.0 GiB of memory")


def test_memory_that_does_not_suffice_is_refused():
    assert not is_on_disk("memory", 1, "data")
    with pytest.raises(UserError, match=r"data needs .*; set data.residence=disk, or less"):
        is_on_disk("memory", HUGE, "data", ", or less")
