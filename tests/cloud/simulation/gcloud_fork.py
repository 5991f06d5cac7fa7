"""Runs the real gcloud fast: its code is imported once, and each command is a fork.

Run by gcloud's own Python: `python3 gcloud_fork.py SOCKET SDK_ROOT`. `gcloud_client.py` is the
`gcloud` on PATH. It sends one message, the length and the JSON of arguments, environment and
folder, with its standard files and its connection to the clock, and receives the wait status.
A signal of the client is sent as one byte. The command is killed when the client is gone.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import traceback

# What the commands of a submission import; another command works too but is slower.
COMMANDS = (
    "surface.ai.custom_jobs.cancel",
    "surface.ai.custom_jobs.create",
    "surface.ai.custom_jobs.describe",
    "surface.ai.custom_jobs.list",
    "surface.artifacts.docker.images.describe",
    "surface.compute.instances.create",
    "surface.compute.instances.delete",
    "surface.compute.instances.describe",
    "surface.compute.instances.list",
    "surface.compute.project_info.describe",
    "surface.compute.regions.describe",
    "surface.compute.tpus",
    "surface.policy_troubleshoot",
    "surface.storage.buckets.describe",
    "surface.storage.cat",
    "surface.storage.cp",
    "surface.storage.ls",
    "surface.storage.objects.describe",
    "surface.storage.objects.list",
    "surface.storage.rm",
    "googlecloudsdk.command_lib.compute.tpus.queued_resources.util",
    "googlecloudsdk.command_lib.storage.tasks.task_graph_executor",
    "googlecloudsdk.core.credentials.store",
    "googlecloudsdk.core.credentials.requests",
    "googlecloudsdk.core.credentials.transports",
    "googlecloudsdk.core.credentials.google_auth_credentials",
    "googlecloudsdk.core.credentials.p12_service_account",
    "googlecloudsdk.api_lib.container.api_adapter",
    "googlecloudsdk.calliope.parser_completer",
    "google.oauth2.credentials",
    "_strptime",
    "netrc",
)
APIS = (
    ("aiplatform", "v1"),
    ("aiplatform", "v1beta1"),
    ("artifactregistry", "v1"),
    ("compute", "v1"),
    ("policytroubleshooter", "v1"),
    ("storage", "v1"),
    ("tpu", "v2"),
)
LONGEST_SLEEP = 0.05  # real seconds


def load(root):
    """Imports gcloud as its `lib/gcloud.py` does."""
    sys.path[:0] = [f"{root}/lib/third_party", f"{root}/lib"]
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    if "google" in sys.modules:
        importlib.reload(sys.modules["google"])
    gcloud_main = importlib.import_module("googlecloudsdk.gcloud_main")
    apis = importlib.import_module("googlecloudsdk.api_lib.util.apis")
    for name in COMMANDS:
        try:
            importlib.import_module(name)
        except ImportError as error:
            print(f"not imported beforehand: {name}: {error}", file=sys.stderr, flush=True)
    for name, version in APIS:
        apis.GetClientClass(name, version)
        apis.GetMessagesModule(name, version)
    gc.collect()
    gc.freeze()
    return gcloud_main


def sleep_in(clock):
    """A `time.sleep` of the simulated clock for the main thread, and a short one for others.

    Other threads show progress; a very short sleep would let them print much more.
    """
    import time

    real = time.sleep
    numbers = iter(range(10**6, 10**9))

    def sleep(seconds):
        if clock is None or threading.current_thread() is not threading.main_thread():
            return real(min(seconds, LONGEST_SLEEP))
        number = next(numbers)
        clock.sendall(f"{number} sleep {seconds}\n".encode())
        line = b""
        while not line.startswith(f"{number} ".encode()) or not line.endswith(b"\n"):
            if line.endswith(b"\n"):
                line = b""
            byte = clock.recv(1)
            if not byte:
                os._exit(1)
            line += byte
        return None

    return sleep


def execute(gcloud_main, request, files):
    """Runs one command in this process, a fork; does not return."""
    import time

    os.setsid()
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    clock = socket.socket(fileno=files[3]) if len(files) > 3 else None
    for file in files[:3]:
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    program = gcloud_main.__file__.replace("googlecloudsdk/gcloud_main.py", "gcloud.py")
    sys.argv = [program, *request["arguments"]]
    # The configuration was read when gcloud was imported.
    named_configs = importlib.import_module("googlecloudsdk.core.configurations.named_configs")
    named_configs.ActivePropertiesFile.Invalidate()
    time.sleep = sleep_in(clock)
    status = 1
    try:
        gcloud_main.main()
        status = 0
    except SystemExit as end:
        status = report(end.code)
    except KeyboardInterrupt:
        from googlecloudsdk.core.util import keyboard_interrupt

        keyboard_interrupt.HandleInterrupt()
    # The usual end of Python without the deletion of all objects, which takes a second.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def report(code):
    """The status of `sys.exit(code)`."""
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


def receive(connection):
    """The request and its files."""
    data, files, _, _ = socket.recv_fds(connection, 65536, 8)
    size, _, data = data.partition(b"\n")
    while len(data) < int(size):
        data += connection.recv(65536)
    return json.loads(data), files


def serve(path, gcloud_main):
    """Accepts commands; never returns in the server."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(64)
    selector = selectors.DefaultSelector()
    selector.register(server, selectors.EVENT_READ)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector.register(reader, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)  # the session ended when the pipe is closed
    commands = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj == 0:
                for pid in commands.values():
                    os.kill(pid, signal.SIGKILL)
                return
            if key.fileobj is server:
                connection, _ = server.accept()
                request, files = receive(connection)
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for other in (server, selector, connection, *commands):
                        other.close()
                    os.close(reader)
                    os.close(writer)
                    execute(gcloud_main, request, files)
                for file in files:
                    os.close(file)
                commands[connection] = pid
                selector.register(connection, selectors.EVENT_READ)
            elif key.fileobj == reader:
                os.read(reader, 4096)
                reap(commands, selector)
            elif key.fileobj in commands:
                data = b""
                with contextlib.suppress(ConnectionError):
                    data = key.fileobj.recv(1)
                number = data[0] if data else signal.SIGKILL
                os.kill(commands[key.fileobj], number)
                if not data:
                    selector.unregister(key.fileobj)


def reap(commands, selector):
    """Sends the status of each command that has ended."""
    for connection, pid in [*commands.items()]:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            continue
        del commands[connection]
        with contextlib.suppress(KeyError):
            selector.unregister(connection)
        with contextlib.suppress(OSError):
            connection.sendall(f"{status}\n".encode())
        connection.close()


def main():
    path, root = sys.argv[1:]
    os.environ.pop("PYTHONPATH", None)
    gcloud_main = load(root)
    try:
        serve(path, gcloud_main)
    except Exception:
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    main()
