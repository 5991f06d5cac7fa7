"""Machines: folders in which real processes run in simulated time, and what they cost."""

import contextlib
import dataclasses
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent.parent
PROGRAMS = ("docker", "pip", "sleep", "sudo", "trainer", "nvidia-smi", "apt-get", "curl")
LOOK_SECONDS = 5.0  # simulated seconds between two looks whether a process has ended

PYTHON = """#!/bin/sh
while :; do
  case "$1" in -u|-B|-I|-E|-s|-S|-P|-q) shift ;; *) break ;; esac
done
case "$1 $2" in
  "-m venv") shift 2; exec {python} {launch} {programs} venv "$@" ;;
  "-m pip") shift 2; exec {python} {launch} {programs} pip "$@" ;;
  "-m trainer") shift 2; exec {python} {launch} {programs} trainer "$@" ;;
esac
exec {python} {launch} "$@"
"""
PROGRAM = """#!/bin/sh
exec {python} {launch} {programs} {name} "$@"
"""


@dataclasses.dataclass
class Bill:
    """Simulated time in which a resource cost money."""

    name: str
    start: float
    end: float | None = None


@dataclasses.dataclass(eq=False)
class Machine:
    """A machine: a folder as home, a metadata server, processes.

    Attributes:
      resource: name of the instance, queued resource or custom job.
      metadata: custom metadata.
      preempted: what the metadata server says.
      process: the startup script or container, once started.
    """

    cloud: object
    name: str
    resource: str
    zone: str
    metadata: dict
    preempted: bool = False
    stopping: bool = False
    process: subprocess.Popen | None = None
    exited: object = None  # called with the status when the process has ended
    dead: bool = False

    @property
    def folder(self):
        return self.cloud.folder / "machines" / self.name

    def environment(self):
        return {
            **self.cloud.endpoints(self.cloud.machine_server),
            "PATH": f"{self.cloud.machine_programs}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
            "GCE_METADATA_HOST": f"{self.cloud.machine_address}/machines/{self.name}",
            "SIMULATED_MACHINE": f"{self.cloud.identifier}/{self.name}",
            "SIMULATED_CLOUD": f"http://{self.cloud.machine_address}",
            "SIMULATED_PYTHON": str(self.cloud.machine_programs / "python3"),
        }

    def start(self, command, exited=None, folder=None, **environment):
        """Starts the process of the machine.

        Args:
          command: the program and its arguments.
          exited: called with the exit status; not when the machine is killed.
          folder: the current folder; without it, the home.
          environment: additional variables.
        """
        if self.dead:
            return
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        clock = self.cloud.clock
        of_clock = clock.environment("machine")
        output = (self.folder / "console").open("ab")
        self.process = subprocess.Popen(
            command,
            cwd=folder or self.folder,
            env={**self.environment(), **of_clock, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        output.close()
        clock.announce(of_clock["SIMULATED_ACTOR"], self.process.pid)
        self.exited = exited
        self.cloud.note(f"{self.name}: started {Path(command[0]).name}")
        clock.after(LOOK_SECONDS, lambda process=self.process: self.look(process))

    def start_script(self, script):
        """Runs a startup script, as the guest agent does."""
        path = self.folder / "startup-script"
        self.folder.mkdir(parents=True, exist_ok=True)
        path.write_text(script if script.startswith("#!") else "#!/bin/sh\n" + script)
        path.chmod(0o755)
        self.start([str(path)])

    def look(self, process):
        """Notices the end of the process."""
        if self.dead or process is not self.process:
            return
        if process.poll() is None:
            self.cloud.clock.after(LOOK_SECONDS, lambda: self.look(process))
            return
        self.cloud.note(f"{self.name}: process ended with {process.returncode}")
        if self.exited:
            self.exited(process.returncode)

    def terminate(self, seconds, then, preempted=False):
        """The machine is about to stop: SIGTERM, and after some seconds SIGKILL.

        Args:
          seconds: between the two signals; 0 for no SIGTERM.
          then: called after SIGKILL.
          preempted: whether the metadata server says so.
        """
        if self.stopping or self.dead:
            return
        self.stopping = True
        self.preempted = preempted
        if seconds and self.process and self.process.poll() is None:
            self.cloud.note(f"{self.name}: SIGTERM")
            self.cloud.clock.signal(self.process.pid, signal.SIGTERM)

        def end():
            self.kill()
            then()

        self.cloud.clock.after(seconds, end)

    def kill(self):
        """Kills all processes of the machine."""
        if self.dead:
            return
        self.dead = True
        alive = bool(self.processes())
        while pids := self.processes():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self.process:
                self.process.poll()
            time.sleep(0.005)
        if alive:
            self.cloud.note(f"{self.name}: killed")

    def processes(self):
        """Processes with the environment of this machine that have not ended."""
        mark = f"SIMULATED_MACHINE={self.cloud.identifier}/{self.name}\0".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (path / "environ").read_bytes():
                    found.append(int(path.name))
        return found


def write_programs(folder):
    """Writes the programs that a machine has on PATH."""
    words = {
        "python": shlex.quote(sys.executable),
        "launch": shlex.quote(str(HERE / "launch.py")),
        "programs": shlex.quote(str(HERE / "machine_programs.py")),
    }
    folder.mkdir()
    for name in ("python", "python3", "python3.13"):
        (folder / name).write_text(PYTHON.format(**words))
    for name in PROGRAMS:
        (folder / name).write_text(PROGRAM.format(name=name, **words))
    for path in folder.iterdir():
        path.chmod(0o755)
