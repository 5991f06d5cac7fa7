"""The terminal output of a run: an aligned table of reports, and a progress bar."""

import os
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from tqdm import tqdm

from trainer.io.records import Record, Value

# Without a terminal a line is printed after this fraction of the run, or this many seconds.
_LINE_FRACTION = 0.125
_LINE_SECONDS = 60.0
_WIDTH = 80
_GAP = "  "
_RATE_WIDTH, _LEFT_WIDTH = 9, 8


class Console:
    """Shows the headline metrics of a run: a table of reports, on a terminal also a bar.

    One line per report, with the latest metrics of training and evaluation side by side. Lines
    fit into 80 columns; metrics.jsonl has the metrics that do not.
    """

    def __init__(
        self,
        total_steps: int,
        first_step: int,
        step_name: str,
        headline: Sequence[str],
        stream: TextIO,
        clock: Callable[[], float],
    ):
        """Starts the display.

        Args:
          total_steps: length of the run.
          first_step: where the run starts or resumes.
          step_name: what a step is called.
          headline: the metrics to show, as `split/name`, the most important first.
          stream: where to write.
          clock: seconds, for the interval between two lines.
        """
        self._stream = stream
        self._total = total_steps
        self._step_name = step_name
        self._clock = clock
        self._latest: dict[str, Value] = {}
        self._has_report = False
        self._header_shown = False
        self._line_step, self._line_time = first_step, clock()
        self._step_width = max(2 * len(str(total_steps)) + 1, len("step"))
        # The metrics that fit between the step and the two last columns.
        # One process of several has fewer columns, because its lines get a prefix.
        width = min(_WIDTH, int(os.environ.get("COLUMNS") or _WIDTH)) - 1
        room = width - self._step_width - 2 * len(_GAP) - _RATE_WIDTH - _LEFT_WIDTH
        self._columns: list[str] = []
        for name in headline:
            room -= len(_GAP) + _width(name)
            if room >= 0:
                self._columns.append(name)
        self._bar: tqdm[Any] | None = None
        if stream.isatty():
            self._bar = tqdm(
                total=total_steps,
                initial=first_step,
                unit=" steps",
                file=stream,
                dynamic_ncols=True,
                leave=False,
                bar_format="{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} "
                "[{elapsed}<{remaining}, {rate_fmt}{postfix}]",
            )

    def advance(self, step: int, loss: float) -> None:
        """Moves the bar; does nothing without a terminal."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {loss:.4g}", refresh=False)
            self._bar.update(step - self._bar.n)

    def write(self, record: Record) -> None:
        """Takes a record, for the next line."""
        for name, value in record.metrics.items():
            self._latest[f"{record.split}/{name}"] = value
        self._has_report = self._has_report or record.split == "train"

    def show(self, step: int, steps_per_second: float) -> None:
        """Writes a line with the latest metrics, if there is a report and a line is due."""
        if self._has_report and self._is_line_due(step):
            self._has_report = False
            self._write_line(step, steps_per_second)

    def _is_line_due(self, step: int) -> bool:
        return (
            self._bar is not None
            or step >= self._total
            or step - self._line_step >= _LINE_FRACTION * self._total
            or self._clock() - self._line_time >= _LINE_SECONDS
        )

    def _write_line(self, step: int, steps_per_second: float) -> None:
        if not self._header_shown:
            self._header_shown = True
            splits, metrics = zip(*(name.split("/") for name in self._columns), strict=True)
            self._write_cells("", splits, "", "")
            self._write_cells("step", metrics, "rate", "left")
        rate = left = ""
        if steps_per_second:
            rate = f"{steps_per_second:,.0f}/s"
            seconds = round((self._total - step) / steps_per_second)
            left = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        values = [_shown(self._latest.get(name)) for name in self._columns]
        self._write_cells(f"{step}/{self._total}", values, rate, left)
        self._line_step, self._line_time = step, self._clock()

    def _write_cells(self, step: str, values: Sequence[str], rate: str, left: str) -> None:
        cells = [f"{step:>{self._step_width}}"]
        cells += [
            f"{value:>{_width(name)}}" for name, value in zip(self._columns, values, strict=True)
        ]
        self.say(_GAP.join([*cells, f"{rate:>{_RATE_WIDTH}}", f"{left:>{_LEFT_WIDTH}}"]).rstrip())

    def say(self, line: str) -> None:
        """Shows a line above the bar."""
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.close()


def _width(name: str) -> int:
    return max(len(name.partition("/")[2]), len("1.23e-05"))


def _shown(value: Value | None) -> str:
    return _number(value) if isinstance(value, int | float) else "-"


def _number(value: float) -> str:
    text = f"{value:.4g}"
    return text if "e" not in text else f"{value:.2e}"
