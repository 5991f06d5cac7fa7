"""The simulated cloud: its services, machines, faults and costs, and what was observed."""

# ruff: noqa: ARG002, ARG005  (all handlers have the same arguments)
import datetime
import json
import os
import random
import re
import shlex
import sys
import threading
import time
import uuid

from .clock import EPOCH, Clock, has_ended
from .compute import Compute, Instance
from .faults import Faults
from .machines import HERE, ROOT, Bill, Machine, write_programs
from .storage import Storage
from .tpu import Queued, Tpu
from .vertex import Vertex
from .web import Answer, ApiError, Drop, route, serve

SERVICES = (
    *("AIPLATFORM", "ARTIFACTREGISTRY", "CLOUDRESOURCEMANAGER", "COMPUTE", "IAM", "LOGGING"),
    *("OSLOGIN", "POLICYTROUBLESHOOTER", "SERVICEUSAGE", "STORAGE", "TPU"),
)


class Cloud:
    """Google Cloud for one simulation.

    Attributes:
      folder: has the machines' folders and the submitter's configuration.
      notes: (time, text) of what happened.
      bills: what cost money, and from when to when.
      violations: what must not happen, such as two writers.
      failures: tracebacks of the simulation itself.
      requests: (time, by, method, path, status).
    """

    def __init__(self, folder, faults=None, gcloud=None):
        self.folder = folder
        self.faults = faults or Faults("gpu-vm")
        self.gcloud = gcloud
        self.identifier = uuid.uuid4().hex
        self.notes, self.bills, self.violations = [], [], []
        self.failures, self.requests = [], []
        self.machines = {}
        self.access = {}  # by permission, where it is not GRANTED
        self.missing_images = set()  # versions or tags
        self.writers = {}  # work directory: (PID, machine)
        self.stopping = set()  # PIDs of trainers that were asked to stop
        self.preemptions = [*self.faults.preemptions]
        self.stockouts = self.faults.stockouts
        self.random = random.Random(self.faults.seed)
        self.lock = threading.RLock()
        for name in ("config", "tmp", "bin", "machines"):
            (folder / name).mkdir(parents=True)
        self.machine_programs = folder / "programs"
        write_programs(self.machine_programs)
        (folder / "token").write_text("ya29.submitter")
        client = shlex.join([sys.executable, "-IS", str(HERE / "gcloud_client.py")])
        (folder / "bin" / "gcloud").write_text(f'#!/bin/sh\nexec {client} "$@"\n')
        (folder / "bin" / "gcloud").chmod(0o755)
        self.clock = Clock(folder / "clock")
        self.submitter_server = serve(self, by="submitter")
        self.machine_server = serve(self)
        self.endpoint = f"http://127.0.0.1:{self.submitter_server.server_port}/"
        self.machine_address = f"127.0.0.1:{self.machine_server.server_port}"
        self.storage, self.compute = Storage(self), Compute(self)
        self.tpu, self.vertex = Tpu(self), Vertex(self)
        item = "/machines/([^/]+)/computeMetadata/v1/(.*)"
        self.routes = (
            ("GET", item, self.get_metadata),
            ("POST", "/simulation/trainer", self.hear_trainer),
            ("GET", "/simulation/faults", self.get_faults),
            ("POST", r"/v\w+/iam:troubleshoot", self.troubleshoot),
            ("GET", "/v1/projects/p", lambda request: {"projectId": "p", "projectNumber": "1"}),
            ("GET", r"/v1/projects/.*/dockerImages/([^/]+)", self.get_image),
            ("GET", r"/v1/projects/p/locations/[^/]+/repositories/([^/]+)", self.get_repository),
            ("GET", r"/v1/projects/.*/(?:tags|versions|packages)(?:/([^/]+))?", self.get_image),
            *self.storage.routes,
            *self.compute.routes,
            *self.tpu.routes,
            *self.vertex.routes,
        )

    def close(self):
        """Kills what still runs."""
        for machine in self.machines.values():
            machine.kill()
        self.clock.close()
        for server in (self.submitter_server, self.machine_server):
            server.shutdown()
            server.server_close()

    # Environments.

    def endpoints(self, server):
        """Variables that gcloud and the machine's script take as addresses of the services."""
        address = f"http://127.0.0.1:{server.server_port}/"
        return {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}": address for name in SERVICES}

    def environment(self):
        """Environment of the submitter, without the variables of the clock."""
        return {
            **self.endpoints(self.submitter_server),
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "CLOUDSDK_CONFIG": str(self.folder / "config"),
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(self.folder / "token"),
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
            "SIMULATED_GCLOUD": str(self.gcloud),
        }

    # Records.

    def note(self, text):
        self.notes.append((self.clock.now, text))

    def timestamp(self, seconds):
        moment = datetime.datetime.fromtimestamp(EPOCH + seconds, datetime.timezone.utc)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def bill(self, name):
        self.bills.append(Bill(name, self.clock.now))

    def end_bill(self, name):
        for bill in self.bills:
            if bill.name == name and bill.end is None:
                bill.end = self.clock.now

    def leftovers(self):
        """Names of what exists and may cost money."""
        jobs = [j.name for j in self.vertex.jobs.values() if j.name in self.billed()]
        pending = [j.name for j in self.vertex.jobs.values() if j.state == "JOB_STATE_PENDING"]
        return sorted({*self.compute.instances, *self.tpu.queued, *jobs, *pending, *self.billed()})

    def billed(self):
        return {bill.name for bill in self.bills if bill.end is None}

    def violate(self, text):
        self.note(f"VIOLATION: {text}")
        self.violations.append(text)

    # Requests.

    def answer(self, request):
        """Answers a request, unless a fault does."""
        internal = request.path.startswith(("/machines/", "/simulation/"))
        status = 0
        with self.lock:
            try:
                if not internal:
                    self.apply_faults(request)
                answer = route(self.routes, request)
                status = answer.status
                return answer
            except ApiError as error:
                status = error.answer.status
                raise
            finally:
                if not internal:
                    entry = (self.clock.now, request.by, request.method, request.path, status)
                    self.requests.append(entry)

    def apply_faults(self, request):
        who = "submitter" if request.by == "submitter" else "machine"
        for window in self.faults.windows:
            if not window.start <= self.clock.now < window.end or window.who not in ("all", who):
                continue
            if window.uploads_only and "/upload/" not in request.path:
                continue
            if self.random.random() >= window.share:
                continue
            if window.kind == "503":
                raise ApiError(503, "UNAVAILABLE", "The service is currently unavailable.")
            if window.kind == "401":
                message = "Request had invalid authentication credentials."
                raise ApiError(401, "UNAUTHENTICATED", message)
            raise Drop(60 if window.kind == "timeout" else 0)

    def get_repository(self, request, name):
        return {"name": request.path.removeprefix("/v1/"), "format": "DOCKER"}

    def troubleshoot(self, request):
        permission = request.json()["accessTuple"]["permission"]
        return {"access": self.access.get(permission, "GRANTED")}

    def get_image(self, request, name):
        if name in self.missing_images:
            raise ApiError(404, "NOT_FOUND", f"Requested entity was not found: {name}")
        path = request.path.removeprefix("/v1/")
        package = path.rpartition("/tags/")[0]
        return {"name": path, "version": f"{package}/versions/sha256:0", "uri": name, "tags": ["1"]}

    # Machines.

    def add_machine(self, name, resource, zone, metadata):
        machine = Machine(self, name, resource, zone, metadata)
        machine_names = sum(other.startswith(name) for other in self.machines)
        self.machines[name] = machine
        if machine_names:  # a second machine of this name has a folder of its own
            old = self.folder / "machines" / name
            if old.exists():
                old.rename(f"{old}.{machine_names}")
        return machine

    def get_metadata(self, request, name, key):
        if request.headers.get("metadata-flavor") != "Google":
            raise ApiError(403, "forbidden", "Missing Metadata-Flavor:Google header.")
        machine = self.machines[name]
        account = {
            "access_token": f"ya29.machine-{name}",
            "expires_in": 3599,
            "token_type": "Bearer",
        }
        values = {
            "instance/name": name,
            "instance/id": "1",
            "instance/hostname": f"{name}.c.p.internal",
            "instance/zone": f"projects/1/zones/{machine.zone}",
            "instance/preempted": "TRUE" if machine.preempted else "FALSE",
            "instance/maintenance-event": "NONE",
            "project/project-id": "p",
            "project/numeric-project-id": "1",
            "instance/service-accounts/default/email": "1-compute@developer.gserviceaccount.com",
            "instance/service-accounts/default/token": json.dumps(account),
            "instance/attributes/": "\n".join(machine.metadata),
            **{f"instance/attributes/{key}": value for key, value in machine.metadata.items()},
        }
        if key not in values:
            raise ApiError(404, "notFound", f"no such metadata: {key}")
        return Answer(values[key].encode(), 200, {"Metadata-Flavor": "Google"})

    def resource(self, machine):
        """The instance, queued resource or custom job of a machine, or None."""
        name = machine.resource
        return (
            self.compute.instances.get(name)
            or self.tpu.queued.get(name)
            or self.vertex.jobs.get(name)
        )

    def check_delete(self, request, name):
        """A resource is deleted: its trainer must have ended or been asked to stop."""
        self.note(f"{name}: deletion requested by {request.by}")
        asked = any(item.endswith("/cancel") for _, item in self.storage.objects)
        for pid, machine in self.writers.values():
            alive = machine.resource == name and not machine.dead and not has_ended(pid)
            if alive and not (asked or machine.stopping or pid in self.stopping):
                self.violate(f"{request.by} deleted {name} while its job was running")

    # Faults.

    def takes_stockout(self):
        if self.stockouts:
            self.stockouts -= 1
            self.note("no resources for this creation")
            return True
        return False

    def phase(self, name, resource):
        """A job came to a phase; the next preemption may be due after it."""
        if not self.preemptions or self.preemptions[0].phase != name or resource is None:
            return
        preemption = self.preemptions.pop(0)
        service = {Instance: self.compute, Queued: self.tpu}.get(type(resource), self.vertex)

        def preempt():
            self.note(f"{resource.name}: preemption")
            service.preempt(resource, preemption.notice)

        self.clock.after(preemption.after, preempt)

    # The trainer's reports.

    def get_faults(self, request):
        return {"steps": self.faults.steps, "exit_status": self.faults.exit_status}

    def hear_trainer(self, request):
        """A trainer tells what it does: start, step, saving, stopping, end."""
        report = request.json()
        event, pid, workdir = report["event"], report["pid"], report["workdir"]
        machine = self.machines[report["machine"].rpartition("/")[2]]
        if event != "step":
            self.note(f"{machine.name}: trainer {pid}: {event} {report.get('detail', '')}".strip())
        if event == "stopping":
            self.stopping.add(pid)
        writer = self.writers.get(workdir)
        if writer and writer[0] != pid and not self.is_gone(*writer):
            self.violate(f"two writers of {workdir}: {writer[1].name} and {machine.name}")
        self.writers[workdir] = (pid, machine)
        if event == "end":
            del self.writers[workdir]
        phase = {"start": "running", "saving": "saving", "end": "ended"}.get(event)
        if phase:
            self.phase(phase, self.resource(machine))
        return {}

    def is_gone(self, pid, machine):
        """Whether a writer has ended; one that was just killed gets a moment."""
        end = time.monotonic() + (0.5 if machine.dead else 0)
        while not has_ended(pid):
            if time.monotonic() >= end:
                return False
            time.sleep(0.01)
        return True


def job_ids(cloud):
    """Identifiers of the jobs in the bucket: run/jobs/ID/…."""
    matches = (re.match(r".*?jobs/([^/]+)/", name) for _, name in cloud.storage.objects)
    return sorted({match[1] for match in matches if match})
