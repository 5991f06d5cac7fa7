"""Compute Engine: instances of one project, operations, zones, regions, quotas."""

# ruff: noqa: ARG002  (all handlers have the same arguments)
import dataclasses

from .machines import Machine
from .web import ApiError, filtered, not_found

PROJECT = "/compute/v1/projects/p"
STOCKOUT = (
    "The zone 'projects/p/zones/{zone}' does not have enough resources available to fulfill the "
    "request. Try a different zone, or try again later."
)
SHUTDOWN_SECONDS = 30.0  # from SIGTERM to the end of a preempted instance
QUOTAS = (
    "GPUS_ALL_REGIONS",
    "NVIDIA_L4_GPUS",
    "PREEMPTIBLE_NVIDIA_L4_GPUS",
    "CPUS",
    "SSD_TOTAL_GB",
)


@dataclasses.dataclass
class Operation:
    name: str
    kind: str
    target: str  # path under the project
    zone: str
    done: bool = False
    error: dict | None = None


@dataclasses.dataclass(eq=False)
class Instance:
    body: dict
    zone: str
    number: int
    status: str = "PROVISIONING"
    machine: Machine | None = None

    @property
    def name(self):
        return self.body["name"]


class Compute:
    """The instances; one that was stopped exists until it is deleted."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.instances = {}
        self.operations = {}
        self.limits = {}  # of quotas
        self.count = 0
        zone = PROJECT + "/zones/([^/]+)"
        self.routes = (
            ("GET", PROJECT, self.get_project),
            ("GET", zone, self.get_zone),
            ("GET", PROJECT + "/regions/([^/]+)", self.get_region),
            ("GET", PROJECT + "/zones", self.list_zones),
            ("POST", zone + "/instances", self.insert),
            ("GET", zone + "/instances", self.list),
            ("GET", PROJECT + "/aggregated/instances", self.list_all),
            ("GET", zone + "/instances/([^/]+)", self.get),
            ("DELETE", zone + "/instances/([^/]+)", self.delete),
            ("GET", zone + "/operations/([^/]+)", self.get_operation),
            ("POST", zone + "/operations/([^/]+)/wait", self.get_operation),
        )

    def link(self, path):
        return f"{self.cloud.endpoint}{PROJECT.removeprefix('/')}/{path}"

    def get_project(self, request):
        quotas = [{"metric": name, "limit": 64.0, "usage": 0.0} for name in QUOTAS]
        account = "1-compute@developer.gserviceaccount.com"
        return {
            "name": "p",
            "id": "1",
            "quotas": quotas,
            "defaultServiceAccount": account,
            "commonInstanceMetadata": {"items": []},
        }

    def get_zone(self, request, zone):
        return {"name": zone, "status": "UP", "region": self.link(f"regions/{zone[:-2]}")}

    def list_zones(self, request):
        return {"items": [self.get_zone(request, f"us-central1-{letter}") for letter in "abcf"]}

    def get_region(self, request, region):
        quotas = [
            {"metric": name, "limit": self.limits.get(name, 64.0), "usage": 1.0} for name in QUOTAS
        ]
        return {"name": region, "status": "UP", "quotas": quotas}

    # Operations.

    def start_operation(self, kind, zone, name):
        self.count += 1
        operation = Operation(
            f"operation-{self.count}", kind, f"zones/{zone}/instances/{name}", zone
        )
        self.operations[operation.name] = operation
        return operation

    def describe_operation(self, operation):
        body = {
            "kind": "compute#operation",
            "id": operation.name.rpartition("-")[2],
            "name": operation.name,
            "operationType": operation.kind,
            "status": "DONE" if operation.done else "RUNNING",
            "progress": 100 if operation.done else 0,
            "targetLink": self.link(operation.target),
            "selfLink": self.link(f"zones/{operation.zone}/operations/{operation.name}"),
            "zone": self.link(f"zones/{operation.zone}"),
        }
        if operation.error:
            body |= {
                "error": {"errors": [operation.error]},
                "httpErrorStatusCode": 503,
                "httpErrorMessage": "SERVICE UNAVAILABLE",
            }
        return body

    def get_operation(self, request, zone, name):
        if name not in self.operations:
            raise not_found(f"projects/p/zones/{zone}/operations/{name}")
        return self.describe_operation(self.operations[name])

    # Instances.

    def find(self, zone, name):
        instance = self.instances.get(name)
        if instance is None or instance.zone != zone:
            raise not_found(f"projects/p/zones/{zone}/instances/{name}")
        return instance

    def describe(self, instance):
        return {
            **instance.body,
            "kind": "compute#instance",
            "id": str(instance.number),
            "status": instance.status,
            "creationTimestamp": self.cloud.timestamp(0),
            "zone": self.link(f"zones/{instance.zone}"),
            "selfLink": self.link(f"zones/{instance.zone}/instances/{instance.name}"),
        }

    def get(self, request, zone, name):
        return self.describe(self.find(zone, name))

    def list(self, request, zone):
        text = request.query.get("filter")
        found = [self.describe(i) for i in self.instances.values() if i.zone == zone]
        return {"items": [item for item in found if filtered(text, item)]}

    def list_all(self, request):
        zones = {instance.zone for instance in self.instances.values()}
        items = {}
        for zone in sorted(zones):
            items[f"zones/{zone}"] = {"instances": self.list(request, zone)["items"]}
        return {"items": items}

    def insert(self, request, zone):
        body = request.json()
        name = body["name"]
        if name in self.instances:
            message = f"The resource 'projects/p/zones/{zone}/instances/{name}' already exists"
            raise ApiError(409, "alreadyExists", message)
        operation = self.start_operation("insert", zone, name)
        if self.cloud.takes_stockout():
            operation.error = {
                "code": "ZONE_RESOURCE_POOL_EXHAUSTED",
                "message": STOCKOUT.format(zone=zone),
            }
            self.cloud.clock.after(self.cloud.faults.operation_seconds, lambda: finish(operation))
            return self.describe_operation(operation)
        instance = Instance(body, zone, len(self.operations))
        self.instances[name] = instance
        self.cloud.note(f"instance {name}: creation requested by {request.by}")
        after = self.cloud.clock.after
        after(self.cloud.faults.operation_seconds, lambda: self.run(instance, operation))
        self.cloud.phase("provisioning", instance)
        return self.describe_operation(operation)

    def run(self, instance, operation):
        finish(operation)
        if self.instances.get(instance.name) is not instance:
            return
        instance.status = "RUNNING"
        self.cloud.bill(instance.name)
        items = instance.body.get("metadata", {}).get("items", [])
        instance.machine = self.cloud.add_machine(
            instance.name,
            instance.name,
            instance.zone,
            {item["key"]: item["value"] for item in items},
        )
        after = self.cloud.clock.after
        after(self.cloud.faults.boot_seconds, lambda: self.boot(instance))
        seconds = instance.body.get("scheduling", {}).get("maxRunDuration", {}).get("seconds")
        if seconds:
            after(float(seconds), lambda: self.stop(instance, "max-run-duration"))

    def boot(self, instance):
        machine = instance.machine
        if instance.status == "RUNNING" and "startup-script" in machine.metadata:
            self.cloud.phase("installing", instance)
            machine.start_script(machine.metadata["startup-script"])

    def preempt(self, instance, notice):
        """Ends an instance as Compute Engine ends a Spot instance."""
        self.stop(instance, "preempted", notice, preempted=True)

    def stop(self, instance, why, seconds=SHUTDOWN_SECONDS, preempted=False):
        """Stops an instance, and deletes it if its instanceTerminationAction says so."""
        if self.instances.get(instance.name) is not instance or instance.status == "TERMINATED":
            return
        self.cloud.note(f"instance {instance.name}: {why}")
        instance.status = "STOPPING"

        def end():
            self.cloud.end_bill(instance.name)
            instance.status = "TERMINATED"
            scheduling = instance.body.get("scheduling", {})
            deletes = scheduling.get("instanceTerminationAction") == "DELETE"
            if deletes and self.instances.get(instance.name) is instance:
                del self.instances[instance.name]

        if instance.machine:
            instance.machine.terminate(seconds, end, preempted)
        else:
            end()

    def delete(self, request, zone, name):
        instance = self.find(zone, name)
        operation = self.start_operation("delete", zone, name)
        self.cloud.check_delete(request, name)
        instance.status = "STOPPING"

        def end():
            finish(operation)
            if instance.machine:
                instance.machine.kill()
            self.cloud.end_bill(name)
            if self.instances.get(name) is instance:
                del self.instances[name]

        if instance.machine and not instance.machine.stopping:
            instance.machine.terminate(SHUTDOWN_SECONDS, end)
        else:
            self.cloud.clock.after(SHUTDOWN_SECONDS, end)
        return self.describe_operation(operation)


def finish(operation):
    operation.done = True
