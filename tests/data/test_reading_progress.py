import io

from trainer.data.reading_progress import ReadingProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def counted(stream, seconds):
    """Reads 1000 records at each of the times."""
    clock = iter([0, *(second for second in seconds for _ in range(2))])
    progress = ReadingProgress("indexing", stream, lambda: next(clock))
    for _ in seconds:
        progress.add(1000)
    progress.end()
    return stream.getvalue()


def test_long_readings_are_counted_on_a_terminal():
    lines = counted(Terminal(), [3, 6]).split("\r")
    assert lines == [
        "", "indexing: 1,000 examples", "indexing: 2,000 examples", "indexing: 2,000 examples\n",
    ]  # fmt: skip


def test_short_readings_and_files_are_silent():
    assert counted(Terminal(), [0.5]) == ""
    assert counted(io.StringIO(), [3, 6]) == ""
