"""Stands for `trainer train` on a machine: takes simulated minutes and saves its progress.

Its progress is the object `progress.json` of the work directory, a list of steps. After the last
step it writes `result.json` once. SIGTERM makes it save and exit with 75. It reports each of its
actions to the simulation, which checks that a work directory has one writer.
"""

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

STEP_SECONDS = 60
SAVE_EVERY = 5  # steps
SAVE_SECONDS = 10
RETRY_SECONDS = 10
STOPPED = 75


class Bucket:
    """Objects of the work directory, through the JSON API."""

    def __init__(self, workdir):
        self.bucket, _, self.folder = workdir.removeprefix("gs://").partition("/")
        base = os.environ["CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE"]
        self.base = base.removesuffix("storage/v1/")
        machine = os.environ["SIMULATED_MACHINE"].rpartition("/")[2]
        self.headers = {"Authorization": f"Bearer ya29.machine-{machine}"}

    def request(self, method, url, data=None):
        """The answer, or None for 404 and 412; other failures are tried again for ever."""
        while True:
            try:
                request = urllib.request.Request(
                    self.base + url, data=data, method=method, headers=self.headers
                )
                with urllib.request.urlopen(request) as answer:
                    return answer.read()
            except urllib.error.HTTPError as error:
                if error.code in (404, 412):
                    return None
            except OSError:
                pass
            time.sleep(RETRY_SECONDS)

    def read(self, name):
        path = urllib.parse.quote(f"{self.folder}/{name}", safe="")
        content = self.request("GET", f"storage/v1/b/{self.bucket}/o/{path}?alt=media")
        return None if content is None else json.loads(content)

    def write(self, name, value, condition=""):
        path = urllib.parse.quote(f"{self.folder}/{name}", safe="")
        url = f"upload/storage/v1/b/{self.bucket}/o?uploadType=media&name={path}{condition}"
        self.request("POST", url, json.dumps(value).encode())


class Training:
    """One run of the trainer."""

    def __init__(self, workdir):
        self.workdir = workdir
        self.bucket = Bucket(workdir)
        self.stopped = False
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, *_):
        self.stopped = True

    def report(self, event, detail=""):
        body = {
            "event": event,
            "pid": os.getpid(),
            "workdir": self.workdir,
            "machine": os.environ["SIMULATED_MACHINE"],
            "detail": detail,
        }
        address = os.environ["SIMULATED_CLOUD"] + "/simulation/trainer"
        request = urllib.request.Request(address, json.dumps(body).encode(), method="POST")
        urllib.request.urlopen(request).close()

    def wait(self, seconds):
        """Sleeps, or less when asked to stop."""
        for _ in range(int(seconds // 5)):
            if self.stopped:
                return
            time.sleep(5)

    def save(self, done):
        self.report("saving", f"{len(done)} steps")
        time.sleep(SAVE_SECONDS)
        self.bucket.write("progress.json", done)
        # What the submission takes for progress.
        self.bucket.write(f"checkpoints/{len(done):08}/manifest.json", {})

    def run(self):
        """Trains; returns the exit status."""
        with urllib.request.urlopen(os.environ["SIMULATED_CLOUD"] + "/simulation/faults") as answer:
            plan = json.load(answer)
        done = self.bucket.read("progress.json") or []
        self.report("start", f"at step {len(done)}")
        while len(done) < plan["steps"]:
            self.wait(STEP_SECONDS)
            if self.stopped:
                self.report("stopping")
                self.save(done)
                return STOPPED
            done.append(len(done) + 1)
            print(f"step {len(done)}", flush=True)
            self.report("step")
            if plan["exit_status"] and len(done) >= plan["steps"] // 2:
                return plan["exit_status"]
            if len(done) % SAVE_EVERY == 0:
                self.save(done)
        self.save(done)
        self.bucket.write("result.json", {"steps": done}, "&ifGenerationMatch=0")
        return 0


def host_index():
    """Number of this host among those of the job."""
    task = json.loads(os.environ.get("TF_CONFIG") or "{}").get("task", {})
    return int(task.get("index", os.environ.get("TPU_WORKER_ID", 0)))


def follow(training):
    """Another host than the first one: trains as long as the first one, and writes nothing."""
    while training.bucket.read("result.json") is None:
        training.wait(30)
        if training.stopped:
            return STOPPED
    return 0


def main():
    arguments = sys.argv[1:]
    workdir = next((a.partition("=")[2] for a in arguments if a.startswith("--workdir=")), None)
    if arguments[:1] != ["train"] or workdir is None:
        print(f"the simulated trainer only trains: {arguments}", file=sys.stderr)
        return 2
    training = Training(workdir.rstrip("/"))
    if host_index():
        return follow(training)
    status = training.run()
    training.report("end", f"exit {status}")
    return status


if __name__ == "__main__":
    sys.exit(main())
