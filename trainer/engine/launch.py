"""`python -m trainer.engine.launch PARENT CORES COMMAND…`: runs COMMAND, bound to its parent.

On Linux the process is killed when its parent dies for any reason, so that no orphan trains in a
directory that another process resumes. CORES (`0,1`; empty for all) sets the CPU affinity;
TensorFlow creates as many threads.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

# From linux/prctl.h.
_PR_SET_PDEATHSIG = 1


def bound(command: Sequence[str], cores: Sequence[int]) -> list[str]:
    """The command that runs `command` bound to this process, on the given cores; empty: on all."""
    launch = [sys.executable, "-m", "trainer.engine.launch", str(os.getpid())]
    return [*launch, ",".join(map(str, cores)), *command]


def describe_exit(status: int) -> str:
    """How a process ended whose exit status is not 0; a negative one is a signal's."""
    if status < 0:
        name = signal.Signals(-status).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"exit status {status}"


def main(arguments: Sequence[str]) -> None:
    """Binds this process to its parent and replaces it with the command."""
    parent, cores, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if cores:
            os.sched_setaffinity(0, map(int, cores.split(",")))
    if os.getppid() != int(parent):
        sys.exit("the parent process no longer exists")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
