#!/usr/bin/env python3
"""The startup script of a VM: runs an attempt of a job, and deletes the machine.

A VM runs it at every boot. It gets the modules beside this file as metadata.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.cloud.google.machine.services import Google, MetadataServer

# The modules that are sent with this script.
MODULES = ("attempt", "log", "services")

# All times are in seconds.
_TICK = 10.0
# Longer than the attempt needs to stop the job and to report, even if the network fails.
_STOP_TIMEOUT = 2400.0
_MAX_DELAY = 300.0
# After these the machine can be kept: done, a bug, wrong input.
_FINAL_STATUSES = (0, 1, 2)


def attribute(name: str) -> str:
    """A value that was given to the machine; waits for the metadata server."""
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    url = f"http://{host}/computeMetadata/v1/instance/attributes/{name}"
    request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60.0) as response:
                return str(response.read().decode())
        except OSError as error:
            print(f"no metadata yet: {error}", flush=True)
        time.sleep(_TICK)


def install_modules() -> str:
    """Writes the modules that this script and the attempt import; returns their folder."""
    root = os.path.join(os.path.expanduser("~"), "trainer-startup")
    folder = root
    for name in ("trainer", "cloud", "google", "machine"):
        folder = os.path.join(folder, name)
        os.makedirs(folder, exist_ok=True)
        open(os.path.join(folder, "__init__.py"), "w").close()
    for name in MODULES:
        with open(os.path.join(folder, f"{name}.py"), "w") as file:
            file.write(attribute(f"trainer-{name}"))
    return root


def delete_machine(google: "Google", metadata: "MetadataServer", kind: str, name: str) -> None:
    """Deletes this machine, or the queued resource to which it belongs; repeats until it works."""
    project = metadata.get("project/project-id")
    zone = metadata.get("instance/zone").rpartition("/")[2]
    path = {
        "gpu-vm": f"compute/v1/projects/{project}/zones/{zone}/instances/{name}",
        "tpu-vm": f"v2/projects/{project}/locations/{zone}/queuedResources/{name}?force=true",
    }[kind]
    service = {"gpu-vm": "compute", "tpu-vm": "tpu"}[kind]
    delay = 10.0
    while True:
        try:
            google.request("DELETE", service, path)
            return
        except OSError as error:
            print(f"the machine could not be deleted: {error}", flush=True)
        if kind == "gpu-vm":
            # A machine that is switched off is billed for its disk only.
            subprocess.call(["shutdown", "-h", "+10"])
        time.sleep(delay)
        delay = min(2 * delay, _MAX_DELAY)


def run_and_delete(job: dict[str, Any], modules: str) -> None:
    """The whole life of a VM: another process runs the job, this one deletes the machine.

    That process may be killed, for example for its memory, or hang. The machine is deleted anyway,
    at the latest some minutes after the deadline.
    """
    from trainer.cloud.google.machine.services import Google, MetadataServer

    metadata = MetadataServer()
    name = metadata.get("instance/name")
    deadline = min(job["deadline"], time.time() + job["max_seconds"])
    try:
        host = job["machines"].index(name) if job["kind"] == "gpu-vm" else 0
        status = run_attempt(job, modules, host, metadata.get("instance/id"), deadline)
        if job["keep"] and status in _FINAL_STATUSES:
            print("the machine is kept", flush=True)
            while time.time() < deadline:
                time.sleep(_TICK)
    finally:
        resource = name if job["kind"] == "gpu-vm" else job["name"]
        delete_machine(Google(metadata), metadata, job["kind"], resource)


def run_attempt(job: dict[str, Any], modules: str, host: int, machine: str, deadline: float) -> int:
    """Runs the attempt in a process of its own; returns its exit status."""
    argv = [
        "python3", "-m", "trainer.cloud.google.machine.attempt", f"--record={job['record']}",
        f"--attempt={job['attempt']}", f"--host={host}", f"--machine={machine}",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": modules}
    child = subprocess.Popen(argv, env=environment, start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
    while child.poll() is None:
        if time.time() > deadline + _STOP_TIMEOUT:
            os.killpg(child.pid, signal.SIGKILL)
        time.sleep(_TICK)
    return child.returncode


def main() -> None:
    """Runs the job of this machine's metadata."""
    modules = install_modules()
    sys.path.insert(0, modules)
    run_and_delete(json.loads(attribute("trainer-job")), modules)


if __name__ == "__main__":
    main()
