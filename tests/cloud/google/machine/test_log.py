"""The log of a machine, and how a submission shows it."""

from hypothesis import given
from hypothesis import strategies as st

from trainer.cloud.google.machine import log as machine_log
from trainer.cloud.google.machine.log import Log
from trainer.cloud.log import LogReader


class Objects(dict):
    """A bucket in memory, whose network fails when it is told to."""

    fails = False

    def write(self, name, content):
        if self.fails:
            raise OSError("no network")
        self[f"host-0/{name}"] = content
        return True

    def read(self, name):
        return self.get(f"host-0/{name}")

    def text(self, name):
        return self[name].decode().removesuffix("\n")

    def sizes(self):
        return {name: len(content) for name, content in self.items()}


class Store:
    """What a submission reads of it."""

    def __init__(self, objects):
        self.read = objects.text


LINES = st.lists(st.text("ab é", max_size=12), max_size=12)
CHUNKS = st.lists(st.tuples(LINES, st.booleans(), st.booleans()), max_size=8)


@given(chunks=CHUNKS)
def test_every_line_is_shown_once_and_in_order(tmp_path_factory, chunks):
    path = tmp_path_factory.mktemp("log") / "job.log"
    path.touch()
    objects, shown, written = Objects(), [], []
    log = Log(objects, str(path))
    reader = LogReader(Store(objects), shown.append)
    machine_log._LOG_PART_BYTES = 32
    try:
        for lines, fails, looks in chunks:
            with path.open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
            written += lines
            objects.fails = fails
            try:
                log.upload()
            except OSError:
                assert fails
            if looks:
                reader.show("host-0/", objects.sizes())
        objects.fails = False
        log.upload()
    finally:
        machine_log._LOG_PART_BYTES = 256 * 1024
    reader.show("host-0/", objects.sizes())
    text = b"".join(objects[name] for name in sorted(objects)).decode()
    assert text == "".join(f"{line}\n" for line in written)
    # A part that consists of one empty line cannot be told from an empty part.
    assert [line for line in shown if line] == [line for line in written if line]


def test_unfinished_line_waits_for_its_end(tmp_path):
    path = tmp_path / "job.log"
    path.write_bytes(b"one\ntw")
    objects = Objects()
    log = Log(objects, str(path))
    log.upload()
    assert objects == {"host-0/log-00001": b"one\n"}
    path.write_bytes(b"one\ntwo\n")
    log.upload()
    assert objects == {"host-0/log-00001": b"one\ntwo\n"}


def test_line_that_is_longer_than_a_part_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_log, "_LOG_PART_BYTES", 4)
    path = tmp_path / "job.log"
    path.write_bytes(b"abcdefg\nh\n")
    objects = Objects()
    Log(objects, str(path)).upload()
    assert objects == {
        "host-0/log-00001": b"abcd",
        "host-0/log-00002": b"efg\n",
        "host-0/log-00003": b"h\n",
    }


def test_restarted_machine_continues_after_the_parts_that_exist(tmp_path):
    objects = Objects({"host-0/log-00001": b"before\n"})
    path = tmp_path / "job.log"
    path.write_bytes(b"after\n")
    log = Log(objects, str(path))
    log.resume()
    log.upload()
    assert objects == {"host-0/log-00001": b"before\n", "host-0/log-00002": b"after\n"}


def test_reader_that_comes_late_begins_with_the_last_lines():
    parts = {f"host-0/log-{n:05}": f"{n}\n".encode() * 15 for n in (1, 2)}
    shown = []
    reader = LogReader(Store(objects := Objects(parts)), shown.append, skip=True)
    reader.show("host-0/", objects.sizes())
    assert shown == ["2"] * 10
    objects["host-0/log-00002"] += b"new\n"
    reader.show("host-0/", objects.sizes())
    assert shown == [*["2"] * 10, "new"]
