"""Runs `trainer` commands in forks of one process, each killed at a write; see test_crashes.py.

Reads one JSON object per line with `arguments`, `directory` and `kill_at`, and answers each with
`status` and `writes`.
"""

import ctypes
import json
import os
import sys
import traceback

from trainer.cli import main
from trainer.supervised import training  # noqa: F401  (so that no fork imports TensorFlow)

shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
shim.count.restype = ctypes.c_long


def train(arguments, directory, kill_at):
    """In a fork: its exit status and the number of writes below `directory`."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            log = os.open(f"{directory}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            shim.arm(directory.encode(), ctypes.c_long(kill_at))
            status = main.run(arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            os.write(write, str(shim.count()).encode())
            sys.stderr.flush()
            os._exit(status)
    os.close(write)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read) as pipe:
        return {"status": os.waitstatus_to_exitcode(status), "writes": int(pipe.read() or 0)}


print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps(train(**json.loads(line))), flush=True)
