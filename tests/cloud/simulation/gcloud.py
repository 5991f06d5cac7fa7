"""Starts the server of `gcloud_fork.py`."""

import os
import shutil
import subprocess
import time
from pathlib import Path

START_SECONDS = 60


class Gcloud:
    """The real gcloud, loaded once.

    Attributes:
      socket: path of the socket that `gcloud_client.py` needs as `SIMULATED_GCLOUD`.
      program: the real gcloud.
    """

    def __init__(self, folder):
        self.program = shutil.which("gcloud")
        form = "value(basic.python_location, installation.sdk_root)"
        environment = {**os.environ, "CLOUDSDK_CONFIG": str(folder / "config")}
        output = subprocess.run(
            [self.program, "info", f"--format={form}"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        python, root = output.split()
        self.socket = folder / "gcloud"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "CLOUDSDK_CONFIG": str(folder / "config"),
            "CLOUDSDK_PYTHON_SITEPACKAGES": "1",
            "CLOUDSDK_ENCODING": "UTF-8",
            "PYTHONIOENCODING": "UTF-8",
        }
        self.log = folder / "gcloud.log"
        with self.log.open("w") as log:
            self.server = subprocess.Popen(
                [python, str(Path(__file__).parent / "gcloud_fork.py"), str(self.socket), root],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + START_SECONDS
        while not self.socket.exists():
            if self.server.poll() is not None or time.monotonic() > end:
                status = self.server.poll()
                raise RuntimeError(f"gcloud cannot be loaded: {status}, {self.log.read_text()}")
            time.sleep(0.05)

    def close(self):
        """Ends the server and its commands."""
        self.server.stdin.close()
        self.server.wait(10)
