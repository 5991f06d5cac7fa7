"""Runs a submission in the simulated cloud with faults, and checks what became of it.

`python -m tests.cloud.simulation.scenario TARGET SEED [SEED]` from the project's root runs the
seeds from the first to the last and prints what is wrong.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .clock import has_ended
from .faults import HOUR, MINUTE, Faults
from .gcloud import Gcloud
from .machines import HERE, ROOT
from .services import Cloud, job_ids

IMAGE = "us-docker.pkg.dev/p/r/trainer:1"
TRAIN = ("--config=configs/digits_cnn.py", "--workdir=gs://b/run", "--poll_seconds=600")
ATTACH = ("jobs", "attach", "gs://b/run")
SUBMIT = {
    "gpu-vm": ("--target=gpu-vm", "--zone=us-central1-a", "--accelerator=nvidia-l4"),
    "tpu-vm": ("--target=tpu-vm", "--zone=us-east5-b", "--accelerator=v6e-1"),
    "vertex": (
        "--target=vertex",
        "--region=us-central1",
        "--accelerator=nvidia-tesla-t4",
        f"--image={IMAGE}",
    ),
}
SECONDS_AFTER = 2 * HOUR  # that the clock runs on after the submitter's end
LONGEST = 72 * HOUR
MOST_RUNS = 12  # of the submitter
LOGIN_SECONDS = 10 * MINUTE  # until the user runs a failed submitter again
STOPPED = 75


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a simulated submission.

    Attributes:
      statuses: exit statuses of the submitter's runs, -9 when killed.
      result: content of `result.json`, or None.
      result_writes: how often it was written.
      violations: what must not happen.
      leftovers: resources that exist at the end.
      hours: simulated hours of all bills.
      seconds: simulated time of the submitter's end.
      notes: (time, text) in order.
      output: what the submitter printed, stderr included.
      consoles: what each machine printed.
      failures: of the simulation itself.
    """

    faults: Faults
    statuses: tuple
    result: dict | None
    result_writes: int
    violations: tuple
    leftovers: tuple
    hours: float
    seconds: float
    notes: tuple
    output: str
    consoles: dict
    failures: tuple

    def __str__(self):
        lines = [f"{seconds:9.0f}  {text}" for seconds, text in self.notes]
        tail = "\n".join(self.output.splitlines()[-30:])
        return f"{self.faults}\nstatuses {self.statuses}\n" + "\n".join(lines) + f"\n{tail}"


class Submitter:
    """The user at a laptop: runs the command, and again after a kill or a failure."""

    def __init__(self, cloud, submit, attach):
        self.cloud = cloud
        self.submit, self.attach = submit, attach
        self.process = None
        self.statuses = []
        self.over = False
        self.log = cloud.folder / "submitter"
        for at in cloud.faults.kills:
            cloud.clock.at(at, self.kill)
        for at, seconds in cloud.faults.suspensions:
            cloud.clock.at(at, self.suspend)
            cloud.clock.at(at + seconds, self.resume)
        cloud.clock.at(0, lambda: self.start(submit))

    def start(self, arguments):
        """Runs the submitter once."""
        clock = self.cloud.clock
        of_clock = clock.environment("submitter")
        with self.log.open("ab") as output:
            output.write(f"$ trainer {' '.join(arguments)}\n".encode())
            output.flush()
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "launch.py"), "-m", "trainer", *arguments],
                cwd=ROOT,
                env={**self.cloud.environment(), **of_clock},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        clock.announce(of_clock["SIMULATED_ACTOR"], self.process.pid)
        self.cloud.note(f"submitter: trainer {' '.join(arguments[:2])}")
        clock.after(1, self.look)

    def again(self):
        """The command of the next run."""
        if self.cloud.faults.attaches and job_ids(self.cloud):
            return self.attach
        return self.submit

    def look(self):
        """Notices the end of a run."""
        if self.process is None or self.over:
            return
        if self.process.poll() is None:
            self.cloud.clock.after(5, self.look)
            return
        status = self.process.returncode
        self.process = None
        self.statuses.append(status)
        self.cloud.note(f"submitter: exit {status}")
        done = status == 0 or status == self.cloud.faults.exit_status
        if done or len(self.statuses) >= MOST_RUNS:
            self.over = True
        else:
            self.cloud.clock.after(LOGIN_SECONDS, lambda: self.start(self.again()))

    def kill(self):
        """Kills the submitter and its children; the next run follows later."""
        if self.process is None or self.over:
            return
        process, self.process = self.process, None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        while not has_ended(process.pid):
            time.sleep(0.005)
        process.wait()
        self.statuses.append(process.returncode)
        self.cloud.note("submitter: killed")
        seconds = self.cloud.faults.restart_seconds
        self.cloud.clock.after(seconds, lambda: self.start(self.again()))

    def suspend(self):
        self.cloud.note("laptop: suspended")
        self.cloud.clock.freeze("submitter")

    def resume(self):
        self.cloud.note("laptop: resumed")
        self.cloud.clock.thaw("submitter")


def run(target, seed, folder, gcloud, faults=None, submit=None, attach=ATTACH):
    """Simulates one submission.

    Args:
      target: "gpu-vm", "tpu-vm" or "vertex".
      seed: of the faults.
      folder: an empty folder.
      gcloud: a `Gcloud`.
      faults: instead of those of the seed.
      submit: arguments of `trainer` instead of the usual ones.
      attach: likewise, once a job was submitted.

    Returns:
      The outcome.
    """
    faults = faults or Faults.from_seed(target, seed)
    submit = submit or ("submit", *SUBMIT[target], "--project=p", *TRAIN)
    cloud = Cloud(Path(folder), faults, gcloud.socket)
    try:
        submitter = Submitter(cloud, submit, attach)
        try:
            cloud.clock.run(lambda: submitter.over, LONGEST)
            seconds = cloud.clock.now
            cloud.clock.run(lambda: False, seconds + SECONDS_AFTER)
        except (RuntimeError, TimeoutError) as error:
            seconds = cloud.clock.now
            cloud.failures.append(repr(error.__cause__ or error))
        if submitter.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(submitter.process.pid, signal.SIGKILL)
            submitter.process.wait()
            submitter.statuses.append("never ended")
        return observe(cloud, submitter, seconds)
    finally:
        cloud.close()


def observe(cloud, submitter, seconds):
    """The outcome of a simulation that is over."""
    result = cloud.storage.read("run/result.json")
    ends = [(bill.end or cloud.clock.now) - bill.start for bill in cloud.bills]
    consoles = {
        path.parent.name: path.read_text(errors="replace")
        for path in (cloud.folder / "machines").glob("*/console")
    }
    return Outcome(
        faults=cloud.faults,
        statuses=tuple(submitter.statuses),
        result=json.loads(result) if result else None,
        result_writes=[name for _, name, _ in cloud.storage.writes].count("run/result.json"),
        violations=tuple(cloud.violations),
        leftovers=tuple(cloud.leftovers()),
        hours=sum(ends) / HOUR,
        seconds=seconds,
        notes=tuple(cloud.notes),
        output=submitter.log.read_text(errors="replace"),
        consoles=consoles,
        failures=tuple(cloud.failures),
    )


def most_hours(faults):
    """Billed hours that a submission may need.

    Each machine installs, repeats what was not saved and ends; requests that fail delay it.
    """
    machines = 1 + len(faults.preemptions) + faults.vertex_restarts
    delays = sum(w.end - w.start for w in faults.windows if w.who != "submitter")
    return faults.steps * 1.25 / 60 + 0.5 * machines + delays / HOUR


def check(outcome):
    """What is wrong with an outcome.

    Returns:
      A list of texts, empty if all is well.
    """
    faults = outcome.faults
    problems = [f"the simulation failed: {failure}" for failure in outcome.failures]
    problems += outcome.violations
    status = outcome.statuses[-1] if outcome.statuses else None
    if status != faults.exit_status:
        problems.append(f"the submitter ended with {status}, not {faults.exit_status}")
    expected = {"steps": [*range(1, faults.steps + 1)]} if faults.exit_status == 0 else None
    if outcome.result != expected:
        problems.append(f"result.json is {outcome.result}")
    if outcome.result_writes != (expected is not None):
        problems.append(f"result.json was written {outcome.result_writes} times")
    if outcome.leftovers:
        problems.append(f"left behind: {', '.join(outcome.leftovers)}")
    if outcome.hours > most_hours(faults):
        problems.append(f"billed {outcome.hours:.1f} hours, more than {most_hours(faults):.1f}")
    return problems


def main():
    target, first, *last = sys.argv[1:]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        gcloud = Gcloud(Path(folder))
        for seed in range(int(first), int((last or [first])[0]) + 1):
            began = time.monotonic()
            outcome = run(target, seed, Path(folder) / str(seed), gcloud)
            problems = check(outcome)
            wrong += bool(problems)
            print(f"{target} {seed}: {problems or 'ok'} ({time.monotonic() - began:.0f} s)")
            if problems:
                print(outcome)
        gcloud.close()
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
