import io

import pytest

from trainer.engine.console import Console
from trainer.io.records import Record

HEADLINE = ("train/loss", "train/accuracy", "eval/loss", "eval/accuracy")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def make(stream, total=1000, headline=HEADLINE, clock=lambda: 0.0):
    return Console(total, 0, "step", headline, stream, clock)


def record(step, split="train", **metrics):
    return Record(step, split, 0.0, metrics or {"loss": 0.25, "accuracy": 0.5})


def test_training_and_evaluation_share_a_line():
    stream = io.StringIO()
    console = make(stream)
    console.write(record(400))
    console.write(record(400, "eval", loss=0.125, accuracy=1.0))
    console.show(400, steps_per_second=2.0)
    console.close()
    groups, names, line = stream.getvalue().splitlines()
    assert groups.split() == ["train", "train", "eval", "eval"]
    assert names.split() == ["step", "loss", "accuracy", "loss", "accuracy", "rate", "left"]
    assert line.split() == ["400/1000", "0.25", "0.5", "0.125", "1", "2/s", "0:05:00"]
    assert len(names) == len(line)


def test_a_line_without_an_evaluation_has_no_figure_for_it():
    stream = io.StringIO()
    console = make(stream)
    console.write(record(400))
    console.show(400, steps_per_second=0.0)
    assert stream.getvalue().splitlines()[-1].split() == ["400/1000", "0.25", "0.5", "-", "-"]


def test_lines_fit_into_fewer_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    stream = io.StringIO()
    console = make(stream)
    console.write(record(400))
    console.show(400, steps_per_second=2.0)
    lines = stream.getvalue().splitlines()
    assert 40 < max(map(len, lines)) < 60
    assert lines[1].split() == ["step", "loss", "accuracy", "rate", "left"]


@pytest.mark.parametrize("total", [59, 123_456_789])
def test_lines_fit_into_80_columns(total):
    stream = io.StringIO()
    names = ("loss", "accuracy", "a_metric_of_a_user_with_a_long_name", "auc")
    headline = [f"{split}/{name}" for split in ("train", "eval") for name in names]
    console = make(stream, total, headline)
    console.write(record(total, loss=-1.234e-12, accuracy=123456.789))
    console.show(total, steps_per_second=98_765.4)
    assert max(map(len, stream.getvalue().splitlines())) < 80


def test_without_a_terminal_a_run_prints_eight_lines():
    stream = io.StringIO()
    console = make(stream)
    for step in range(10, 1001, 10):
        console.write(record(step))
        console.show(step, steps_per_second=5.0)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2 + 8
    assert lines[-1].split()[0] == "1000/1000"


def test_a_slow_run_prints_a_line_per_minute():
    seconds = iter(range(0, 10**6, 61))
    stream = io.StringIO()
    console = make(stream, clock=lambda: float(next(seconds)))
    for step in (1, 2, 3):
        console.write(record(step))
        console.show(step, steps_per_second=5.0)
    assert len(stream.getvalue().splitlines()) == 2 + 3


def test_an_evaluation_between_reports_appears_with_the_next_report():
    stream = Terminal()
    console = make(stream)
    console.write(record(10))
    console.show(10, steps_per_second=1.0)
    console.write(record(20, "eval", loss=0.5, accuracy=0.75))
    console.show(20, steps_per_second=1.0)
    assert "20/1000" not in stream.getvalue()
    console.write(record(30))
    console.show(30, steps_per_second=1.0)
    console.close()
    (line,) = (line for line in stream.getvalue().splitlines() if "30/1000" in line)
    assert "0.75" in line


def test_nothing_new_prints_nothing():
    stream = io.StringIO()
    console = make(stream)
    console.show(1000, steps_per_second=5.0)
    assert stream.getvalue() == ""


def test_a_terminal_shows_a_bar_with_rate_time_left_and_loss():
    stream = Terminal()
    console = Console(100, 10, "step", HEADLINE, stream, lambda: 0.0)
    console.advance(60, 0.25)
    console.say("a line")
    console.close()
    assert "60/100" in stream.getvalue()
    assert "loss 0.25" in stream.getvalue()
    assert "steps/s" in stream.getvalue()
    assert "a line\n" in stream.getvalue()
