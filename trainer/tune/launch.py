"""`python -m trainer.tune.launch PARENT CORES COMMAND…`: becomes COMMAND, bound to its parent.

On Linux the process is killed when the one that started it dies, however it dies: nobody
trains in a directory that another search may take up. CORES, `0,1` or empty for all, are the
ones it may use; TensorFlow makes as many threads.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

# From linux/prctl.h.
_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> None:
    """Binds this process and replaces it with the command."""
    parent, cores, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if cores:
            os.sched_setaffinity(0, map(int, cores.split(",")))
    if os.getppid() != int(parent):
        sys.exit("the process that started this one is gone")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
