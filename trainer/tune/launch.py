"""`python -m trainer.tune.launch PARENT CORES COMMAND…`: runs COMMAND, bound to its parent.

On Linux the process is killed when its parent dies for any reason, so that no orphan trains in a
directory that another search resumes. CORES (`0,1`; empty for all) sets the CPU affinity;
TensorFlow creates as many threads.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

# From linux/prctl.h.
_PR_SET_PDEATHSIG = 1


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
