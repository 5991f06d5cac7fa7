"""The `gcloud` on PATH: has the command run by `gcloud_fork.py`.

With `SIMULATED_CLOCK` the command is an actor of the clock and costs
`SIMULATED_COMMAND_SECONDS` before it begins.
"""

import json
import os
import signal
import socket
import sys


def connect_clock():
    """The connection of this command to the clock, or None."""
    path = os.environ.get("SIMULATED_CLOCK")
    if not path:
        return None
    clock = socket.socket(socket.AF_UNIX)
    clock.connect(path)
    token = os.environ.get("SIMULATED_ACTOR", "-")
    label = os.environ.get("SIMULATED_LABEL", "gcloud")
    clock.sendall(f"0 hello {os.getpid()} {token} {label}\n".encode())
    clock.makefile("r").readline()
    seconds = os.environ.get("SIMULATED_COMMAND_SECONDS", "1")
    clock.sendall(f"1 sleep {seconds}\n".encode())
    if not clock.makefile("r").readline():
        sys.exit(1)
    return clock


def main():
    clock = connect_clock()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SIMULATED_")
    }
    if clock:
        # gcloud sends it as part of its User-Agent, by which the server knows the actor.
        environment.setdefault("CLOUDSDK_METRICS_ENVIRONMENT", f"sim{os.getpid()}")
    request = {
        "arguments": sys.argv[1:],
        "environment": environment,
        "folder": os.getcwd(),
    }
    data = json.dumps(request).encode()
    server = socket.socket(socket.AF_UNIX)
    server.connect(os.environ["SIMULATED_GCLOUD"])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: server.sendall(bytes([number])))
    files = [0, 1, 2] + ([clock.fileno()] if clock else [])
    message = str(len(data)).encode() + b"\n" + data
    sent = socket.send_fds(server, [message], files)
    server.sendall(message[sent:])
    status = server.makefile("r").readline()
    if not status:
        os._exit(1)
    code = os.waitstatus_to_exitcode(int(status))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
