"""A user who runs commands of trainer."""

import subprocess
import sys

from .faults import HOUR
from .machines import HERE, ROOT
from .scenario import SUBMIT, TRAIN


class User:
    """Runs commands of trainer in simulated time."""

    def __init__(self, cloud):
        self.cloud = cloud

    def start(self, *arguments):
        environment = {**self.cloud.environment(), **self.cloud.clock.environment("submitter")}
        environment["CLOUDSDK_CORE_PROJECT"] = "p"
        process = subprocess.Popen(
            [sys.executable, str(HERE / "launch.py"), "-m", "trainer", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.cloud.clock.announce(environment["SIMULATED_ACTOR"], process.pid)
        return process

    def finish(self, process, hours=10):
        """Waits for the end of a command; returns its status and its lines."""
        limit = self.cloud.clock.now + hours * HOUR
        has_ended = self.cloud.clock.run(lambda: process.poll() is not None, limit)
        assert has_ended, (self.cloud.clock.describe(), self.cloud.notes)
        output, errors = process.communicate()
        return process.returncode, output.splitlines(), errors.splitlines()

    def run(self, *arguments):
        return self.finish(self.start(*arguments))

    def submit(self, target, *arguments):
        return ("submit", *SUBMIT[target], "--project=p", *TRAIN, *arguments)

    def wait(self, hours):
        self.cloud.clock.run(lambda: False, self.cloud.clock.now + hours * HOUR)
