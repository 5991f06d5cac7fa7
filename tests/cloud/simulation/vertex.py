"""Vertex AI: custom jobs, whose containers are processes."""

# ruff: noqa: ARG002, ARG005  (all handlers have the same arguments)
import dataclasses
import json

from .machines import ROOT, Machine
from .web import ApiError

PARENT = r"/v1/projects/[^/]+/locations/([^/]+)"
ENDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")
NOTICE_SECONDS = 30.0
STOCKOUT = (
    "Resources are insufficient in region: {region}. Please try a different region. If you use "
    "a different zone"
)


@dataclasses.dataclass(eq=False)
class Job:
    """A custom job; `errors` is what went wrong, shown some time after the state."""

    body: dict
    number: int
    region: str
    created: float
    state: str = "JOB_STATE_PENDING"
    error: dict | None = None
    restarts: int = 0
    machines: list[Machine] = dataclasses.field(default_factory=list)

    @property
    def name(self):
        return str(self.number)


class Vertex:
    """The custom jobs, by number; they stay in the list when they have ended."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.jobs = {}
        self.routes = (
            ("POST", PARENT + "/customJobs", self.create),
            ("GET", PARENT + "/customJobs", self.list),
            ("GET", PARENT + "/customJobs/([^/]+)", self.get),
            ("POST", PARENT + "/customJobs/([^/]+):cancel", self.cancel),
            ("POST", "/v2/entries:list", lambda request: {"entries": []}),
        )

    def find(self, name):
        if name not in self.jobs:
            raise ApiError(404, "NOT_FOUND", f"The CustomJob {name} does not exist.")
        return self.jobs[name]

    def describe(self, job):
        body = {
            **job.body,
            "name": f"projects/1/locations/{job.region}/customJobs/{job.name}",
            "state": job.state,
            "createTime": self.cloud.timestamp(job.created),
        }
        return {**body, "error": job.error} if job.error else body

    def get(self, request, region, name):
        return self.describe(self.find(name))

    def list(self, request, region):
        jobs = [job for job in self.jobs.values() if job.region == region]
        return {"customJobs": [self.describe(job) for job in reversed(jobs)]}

    def create(self, request, region):
        number = 7_000_000_000 + len(self.jobs)
        job = Job(request.json(), number, region, self.cloud.clock.now)
        self.jobs[job.name] = job
        self.cloud.note(f"custom job {job.name}: creation requested by {request.by}")
        after, faults = self.cloud.clock.after, self.cloud.faults
        if self.cloud.takes_stockout():
            message = STOCKOUT.format(region=region)
            after(faults.operation_seconds, lambda: self.end(job, "JOB_STATE_FAILED", 8, message))
        else:
            after(faults.operation_seconds + faults.boot_seconds, lambda: self.run(job))
            self.cloud.phase("provisioning", job)
        return self.describe(job)

    def scheduling(self, job):
        return job.body["jobSpec"].get("scheduling", {})

    def run(self, job):
        if job.state != "JOB_STATE_PENDING":
            return
        job.state = "JOB_STATE_RUNNING"
        self.cloud.note(f"custom job {job.name}: RUNNING")
        self.cloud.bill(job.name)
        pools = job.body["jobSpec"]["workerPoolSpecs"]
        replicas = [
            (pool, index, spec)
            for pool, spec in enumerate(pools)
            for index in range(int(spec.get("replicaCount", 1)))
        ]
        for pool, index, _ in replicas:
            name = f"job-{job.name}-workerpool{pool}-{index}"
            job.machines.append(self.cloud.add_machine(name, job.name, job.region, {}))
        self.cloud.phase("installing", job)
        for number, (_, _, spec) in enumerate(replicas):
            self.start(job, number, spec["containerSpec"], len(replicas))
        timeout = self.scheduling(job).get("timeout")
        if timeout:
            seconds = float(timeout.removesuffix("s"))
            self.cloud.clock.after(seconds, lambda: self.expire(job))

    def start(self, job, number, container, count):
        """Starts one replica."""
        command = container.get("command", ["trainer"]) + container.get("args", [])
        programs = self.cloud.machine_programs
        if (programs / command[0]).exists():
            command = [str(programs / command[0]), *command[1:]]
        environment = {item["name"]: item.get("value", "") for item in container.get("env", [])}
        environment |= {
            "PYTHONPATH": str(ROOT),
            "CLOUD_ML_PROJECT_ID": "1",
            "CLOUD_ML_JOB_ID": job.name,
        }
        if count > 1:
            workers = [f"{machine.name}:2222" for machine in job.machines]
            task = {"type": "worker", "index": number}
            environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
        machine = job.machines[number]

        def exited(status):
            self.container_ended(job, number, container, count, status)

        machine.start(command, exited, **environment)

    def container_ended(self, job, number, container, count, status):
        if job.state != "JOB_STATE_RUNNING":
            return
        if status == 0:
            if all(m.process.poll() == 0 for m in job.machines):
                self.end(job, "JOB_STATE_SUCCEEDED")
            return
        retries = not self.scheduling(job).get("disableRetries")
        if retries and job.restarts < self.cloud.faults.vertex_restarts:
            job.restarts += 1
            self.cloud.note(f"custom job {job.name}: Vertex restarts the container")
            self.cloud.clock.after(30, lambda: self.start(job, number, container, count))
            return
        self.end(
            job,
            "JOB_STATE_FAILED",
            3,
            f"The replica workerpool0-{number} exited with a non-zero status of {status}. "
            "To find out more about why your job exited please check the logs",
        )

    def end(self, job, state, code=0, message=""):
        """Ends a job; its error appears later than its state."""
        if job.state in ENDED:
            return
        job.state = state
        self.cloud.note(f"custom job {job.name}: {state}")
        for machine in job.machines:
            machine.kill()
        self.cloud.end_bill(job.name)
        if message:
            error = {"code": code, "message": message}
            delay = self.cloud.faults.error_seconds
            self.cloud.clock.after(delay, lambda: setattr(job, "error", error))

    def expire(self, job):
        self.end(job, "JOB_STATE_FAILED", 4, "The job exceeded its timeout.")

    def preempt(self, job, notice):
        """The machines of a Spot job are taken away."""
        if job.state in ENDED:
            return
        message = STOCKOUT.format(region=job.region)

        def end():
            self.end(job, "JOB_STATE_FAILED", 8, message)

        for machine in job.machines:
            machine.terminate(notice, lambda: None, preempted=True)
        self.cloud.clock.after(notice, end)

    def cancel(self, request, region, name):
        job = self.find(name)
        if job.state in ENDED:
            message = f"The CustomJob {name} is in state {job.state} and cannot be cancelled."
            raise ApiError(400, "FAILED_PRECONDITION", message)
        self.cloud.check_delete(request, name)
        job.state = "JOB_STATE_CANCELLING"
        for machine in job.machines:
            machine.terminate(NOTICE_SECONDS, lambda: None)
        self.cloud.clock.after(NOTICE_SECONDS, lambda: self.end(job, "JOB_STATE_CANCELLED"))
        return {}
