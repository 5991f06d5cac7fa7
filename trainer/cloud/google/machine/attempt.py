"""Runs one attempt of a job on this machine.

It

1. reads the records that the submission has written to `gs://WORKDIR/jobs/ID/`;
2. installs the locked packages, or pulls the image;
3. runs the job and uploads its output every few seconds;
4. stops the job if the record `cancel` appears, if a later attempt exists, or at the deadline;
5. prints how the job ended, and writes the record `status.json`.
"""

import argparse
import glob
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import traceback
from typing import Any

from trainer.cloud.google.machine.log import Log
from trainer.cloud.google.machine.services import Folder, Google, MetadataServer, retried

OLDEST_PYTHON = (3, 10)
# The port of TensorFlow's server where several machines train together.
CLUSTER_PORT = 2222
EXIT_BUG = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 75

# All times are in seconds. Between two looks at the job, and between two uploads and queries.
_TICK = 5.0
_REPORT_INTERVAL = 10.0
# For the job to save its state: when asked to stop, and when the machine is being preempted.
SAVE_TIMEOUT = 150.0
_PREEMPTION_NOTICE = 25.0
_GPU_TIMEOUT = 600.0
_INSTALL_ATTEMPTS = 3


class Stopped(BaseException):
    """The operating system stops this process: the machine is preempted or shut down."""


class StopReason(Exception):
    """The job must not run now; the message says why."""


class Refused(Exception):
    """The job cannot run on this machine; the message is one line."""


class NotOurs(Exception):
    """Another machine runs this attempt."""


class Attempt:
    """One attempt of a job on this machine."""

    def __init__(self, google: Google, record: str, number: int, host: int, machine: str) -> None:
        """Opens the records of an attempt.

        Args:
          google: the services.
          record: `gs://WORKDIR/jobs/ID`.
          number: of the attempt, from 1.
          host: number of this machine among those that train together.
          machine: a name that only this machine has.
        """
        self._job_folder = Folder(google, record)
        self._folder = Folder(google, f"{record}/attempts/{number:04}/host-{host}")
        self._number = number
        self._host = host
        self._machine = machine
        self._local = os.path.join(os.path.expanduser("~"), "trainer", record.rpartition("/")[2])
        os.makedirs(self._local, exist_ok=True)
        self._log_path = os.path.join(self._local, "job.log")
        # What an earlier boot of this machine has written is uploaded.
        open(self._log_path, "w").close()
        self._log = Log(self._folder, self._log_path)
        self._job: dict[str, Any] = {}
        self._deadline = float("inf")
        self._container = ""

    def run(self) -> int:
        """Runs the job and reports how it ended; returns its exit status."""
        signal.signal(signal.SIGTERM, _raise_stopped)
        known = retried(self._read_status)
        if known is not None:
            # The machine was restarted after the end of the job.
            return known
        reason = ""
        try:
            status = self._run()
        except NotOurs:
            print("another machine runs this attempt", flush=True)
            return EXIT_INTERRUPTED
        except Refused as error:
            status, reason = EXIT_USER_ERROR, str(error)
        except StopReason as error:
            status, reason = EXIT_INTERRUPTED, str(error)
        except Stopped:
            status, reason = EXIT_INTERRUPTED, "the machine was stopped"
        except Exception as error:
            status, reason = EXIT_BUG, f"{type(error).__name__}: {error}"
            self._print(traceback.format_exc())
        # Another signal must not prevent the report.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._print(f"trainer-job: attempt {self._number} ended with status {status}. {reason}")
        retried(self._log.upload)
        retried(lambda: self._write_status(status, reason))
        return status

    def _run(self) -> int:
        job = retried(lambda: self._job_folder.read("job.json"))
        attempt = retried(lambda: self._job_folder.read(f"attempts/{self._number:04}.json"))
        if job is None or attempt is None:
            raise Refused("the records of the job no longer exist")
        self._job = json.loads(job)
        values = json.loads(attempt)
        self._deadline = min(values["deadline"], time.time() + values["max_seconds"])
        if not retried(self._claim):
            raise NotOurs
        retried(self._log.resume)
        if reason := retried(self._stop_reason):
            raise StopReason(reason)
        self._unpack()
        argv = self._prepare()
        self._print(f"$ {shlex.join(argv)}")
        return self._run_job(argv)

    def _claim(self) -> bool:
        """Whether this machine is the first of its attempt: a request may create two."""
        name = "machine"
        if self._folder.write(name, self._machine.encode(), only_if_absent=True):
            return True
        return self._folder.read(name) == self._machine.encode()

    def _read_status(self) -> int | None:
        content = self._folder.read("status.json")
        return None if content is None else int(json.loads(content)["status"])

    def _write_status(self, status: int, reason: str) -> None:
        content = {"status": status, "reason": reason, "time": time.time()}
        self._folder.write("status.json", json.dumps(content).encode())

    def _stop_reason(self) -> str:
        """Why the job must not run now; empty if it may."""
        if time.time() > self._deadline:
            return "the time limit is over"
        if self._job_folder.read("cancel") is not None:
            return "cancelled"
        if self._job_folder.read(f"attempts/{self._number + 1:04}.json") is not None:
            return "a later attempt has started"
        return ""

    def _unpack(self) -> None:
        content = retried(lambda: self._job_folder.read("files.tar.gz"))
        if content is None:
            raise Refused("the files of the job no longer exist")
        path = os.path.join(self._local, "files.tar.gz")
        with open(path, "wb") as file:
            file.write(content)
        with tarfile.open(path) as archive:
            archive.extractall(self._local)

    def _prepare(self) -> list[str]:
        """Installs the code or pulls the image; returns the job's command line."""
        job = self._job
        if job["accelerator"] == "gpu" and not job["in_container"]:
            self._wait_for_gpus()
        arguments = job["arguments"]
        if job["in_container"]:
            return ["trainer", *arguments]
        if job["image"]:
            return self._container_command(arguments)
        self._install()
        return [os.path.join(self._local, ".venv/bin/trainer"), *arguments]

    def _wait_for_gpus(self) -> None:
        """Waits for the driver, which may start after the startup script."""
        give_up = time.monotonic() + _GPU_TIMEOUT
        while self._call(["nvidia-smi"]) != 0:
            if time.monotonic() > give_up:
                raise Refused("nvidia-smi finds no GPU: choose another vm_image_family")
            time.sleep(_REPORT_INTERVAL)

    def _install(self) -> None:
        python = _python()
        venv = os.path.join(self._local, ".venv")
        pip = [f"{venv}/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        requirements = f"requirements/{self._job['accelerator']}.txt"
        apt = "apt-get -qq -o DPkg::Lock::Timeout=300"
        steps = (
            f"{python} -m venv .venv || {{ {apt} update && {apt} install -y python3-venv && "
            f"{python} -m venv .venv; }}",
            shlex.join([*pip, "--use-pep517", "-r", requirements]),
            # setuptools is in the lock.
            shlex.join([*pip, "--use-pep517", "--no-build-isolation", "."]),
        )
        for step in steps:
            self._call_until_successful(["sh", "-c", step])

    def _container_command(self, arguments: list[str]) -> list[str]:
        """Pulls the image; the container gets the accelerators of the machine and nothing else."""
        image = self._job["image"]
        registry = image.partition("/")[0]
        if registry.endswith((".pkg.dev", "gcr.io")):
            login = f"docker login --username=oauth2accesstoken --password-stdin {registry}"
            token = MetadataServer().token()
            subprocess.run(["sh", "-c", f"{login} > /dev/null 2>&1"], input=token.encode())
        self._call_until_successful(["docker", "pull", "--quiet", image])
        self._container = f"trainer-{os.path.basename(self._local)}"
        return [
            "docker", "run", "--rm", "--init", f"--name={self._container}", "--network=host",
            # The device files belong to root.
            "--user=0:0", "--env=HOME=/tmp", "--env=PYTHONPATH=/job", "--shm-size=16g",
            "--ulimit=memlock=-1",
            *device_flags(),
            *(f"--env={name}={value}" for name, value in self._environment().items()),
            f"--volume={self._local}:/job:ro", "--workdir=/job", image, *arguments,
        ]  # fmt: skip

    def _environment(self) -> dict[str, str]:
        """TF_CONFIG where several machines train together; the service sets it on Vertex AI."""
        machines = self._job_machines()
        if len(machines) < 2 or self._job["in_container"]:
            return {}
        cluster = {"worker": [f"{machine}:{CLUSTER_PORT}" for machine in machines]}
        task = {"type": "worker", "index": self._host}
        return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}

    def _job_machines(self) -> list[str]:
        attempt = retried(lambda: self._job_folder.read(f"attempts/{self._number:04}.json"))
        return json.loads(attempt or b"{}").get("machines", [])

    def _run_job(self, argv: list[str]) -> int:
        """Runs the job; returns its status."""
        # The user's own modules are beside the configuration.
        environment = {**os.environ, "PYTHONPATH": self._local, **self._environment()}
        child = self._start(argv, environment)
        reason = ""
        try:
            reason = self._follow(child)
            if reason:
                self._stop(child, SAVE_TIMEOUT)
        except Stopped:
            reason = "the machine was stopped"
            self._stop(child, _PREEMPTION_NOTICE)
        status = child.wait()
        if reason and status != 0:
            # Whatever it says: it was told to stop.
            raise StopReason(reason)
        return EXIT_BUG if status < 0 else status

    def _follow(self, child: subprocess.Popen[bytes]) -> str:
        """Uploads the output until a program ends; returns a reason to stop it before."""
        next_report = time.monotonic()
        while child.poll() is None:
            time.sleep(_TICK)
            if time.monotonic() < next_report:
                continue
            next_report = time.monotonic() + _REPORT_INTERVAL
            try:
                self._log.upload()
                if reason := self._stop_reason():
                    return reason
            except OSError:
                # Without a network the job continues until its deadline.
                if time.time() > self._deadline:
                    return "the time limit is over"
        return ""

    def _stop(self, child: subprocess.Popen[bytes], seconds: float) -> None:
        """Asks the job to save its state, and kills it if it does not end in time."""
        if self._container:
            stop = ["docker", "stop", f"--time={round(seconds)}", self._container]
            subprocess.Popen(stop, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        elif child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
        give_up = time.monotonic() + seconds
        while child.poll() is None and time.monotonic() < give_up:
            time.sleep(1.0)
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)

    def _call_until_successful(self, argv: list[str]) -> None:
        """Repeats a command whose failure may be one of the network.

        Raises:
          Refused: if it does not succeed.
        """
        for attempt in range(_INSTALL_ATTEMPTS):
            if attempt:
                time.sleep(30.0 * attempt)
            if self._call(argv) == 0:
                return
        raise Refused(f"the installation failed: {shlex.join(argv)[:200]}")

    def _call(self, argv: list[str]) -> int:
        self._print(f"$ {shlex.join(argv)}")
        child = self._start(argv, dict(os.environ))
        try:
            if reason := self._follow(child):
                raise StopReason(reason)
            return child.wait()
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)

    def _start(self, argv: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Starts a program whose output is added to the log."""
        with open(self._log_path, "ab") as output:
            return subprocess.Popen(
                argv, cwd=self._local, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _print(self, text: str) -> None:
        """Adds a line to the log; also to the machine's own log, which is the service's."""
        print(text, flush=True)
        with open(self._log_path, "ab+") as file:
            file.seek(max(0, file.tell() - 1))
            begins_line = file.read(1) in (b"", b"\n")
            file.write(f"{'' if begins_line else chr(10)}{text}\n".encode())


def device_flags() -> list[str]:
    """The flags that give a container the TPU chips or the GPUs of this machine."""
    devices = [*glob.glob("/dev/accel*"), *glob.glob("/dev/vfio/*")]
    if devices:
        return [f"--device={device}" for device in sorted(devices)]
    return ["--gpus=all"]


def _python() -> str:
    """The newest Python of the machine that the project supports."""
    names = ("python3.13", "python3.12", "python3.11", "python3.10", "python3")
    for name in names:
        path = shutil.which(name)
        test = f"import sys; sys.exit(not {OLDEST_PYTHON} <= sys.version_info < (3, 14))"
        if path and subprocess.call([path, "-c", test]) == 0:
            return path
    raise Refused("the machine has no Python 3.10 to 3.13: choose another image family or image")


def _raise_stopped(*signal_and_frame: object) -> None:
    del signal_and_frame
    raise Stopped


def host_of_vertex(tf_config: str) -> int:
    """The number of a container: 0 is the chief, the workers follow."""
    task = json.loads(tf_config or "{}").get("task", {})
    return 0 if task.get("type", "chief") == "chief" else 1 + int(task["index"])


def main() -> None:
    """Runs an attempt; exits with the status of the job."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", required=True, help="gs://WORKDIR/jobs/ID")
    parser.add_argument("--attempt", type=int, required=True)
    host = host_of_vertex(os.environ.get("TF_CONFIG", ""))
    parser.add_argument("--host", type=int, default=host)
    machine = os.environ.get("CLOUD_ML_JOB_ID") or os.environ.get("HOSTNAME", "")
    parser.add_argument("--machine", default=machine)
    given = parser.parse_args()
    google = Google(MetadataServer())
    sys.exit(Attempt(google, given.record, given.attempt, given.host, given.machine).run())


if __name__ == "__main__":
    main()
