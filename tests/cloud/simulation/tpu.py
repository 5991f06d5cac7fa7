"""Cloud TPU: queued resources with one node each."""

# ruff: noqa: ARG002  (all handlers have the same arguments)
import dataclasses
import re

from .machines import Machine
from .web import Answer, ApiError

PARENT = r"/v2/projects/p/locations/([^/]+)"
DELETE_SECONDS = 60.0
NOTICE_SECONDS = 30.0


@dataclasses.dataclass(eq=False)
class Queued:
    """A queued resource and its node.

    `state` is the queued resource's, `node_state` the node's or None.
    """

    body: dict
    name: str
    zone: str
    state: str = "ACCEPTED"
    error: dict | None = None
    node_state: str | None = None
    machines: list[Machine] = dataclasses.field(default_factory=list)

    @property
    def node(self):
        return self.body["tpu"]["nodeSpec"][0]["node"]

    @property
    def node_name(self):
        return self.body["tpu"]["nodeSpec"][0].get("nodeId", self.name)


class Tpu:
    """The queued resources, by name."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.queued = {}
        self.operations = {}
        self.routes = (
            ("POST", PARENT + "/queuedResources", self.create),
            ("GET", PARENT + "/queuedResources", self.list),
            ("GET", PARENT + "/queuedResources/([^/]+)", self.get),
            ("DELETE", PARENT + "/queuedResources/([^/]+)", self.delete),
            ("GET", PARENT + "/nodes", self.list_nodes),
            ("GET", PARENT + "/nodes/([^/]+)", self.get_node),
            ("GET", PARENT + "/operations/([^/]+)", self.get_operation),
        )

    def start_operation(self, zone):
        name = f"projects/p/locations/{zone}/operations/operation-{len(self.operations) + 1}"
        self.operations[name] = {"name": name, "done": False}
        return self.operations[name]

    def get_operation(self, request, zone, name):
        return self.operations[f"projects/p/locations/{zone}/operations/{name}"]

    def find(self, zone, name):
        queued = self.queued.get(name)
        if queued is None or queued.zone != zone:
            resource = f"projects/p/locations/{zone}/queuedResources/{name}"
            raise ApiError(404, "NOT_FOUND", f"Resource '{resource}' was not found")
        return queued

    def describe(self, queued):
        state = {"state": queued.state, "stateInitiator": "SERVICE"}
        if queued.error:
            state["failedData"] = {"error": queued.error}
        return {
            **queued.body,
            "name": f"projects/p/locations/{queued.zone}/queuedResources/{queued.name}",
            "createTime": self.cloud.timestamp(0),
            "state": state,
        }

    def get(self, request, zone, name):
        return self.describe(self.find(zone, name))

    def in_zone(self, zone):
        return [q for q in self.queued.values() if zone in ("-", q.zone)]

    def list(self, request, zone):
        return {"queuedResources": [self.describe(queued) for queued in self.in_zone(zone)]}

    def describe_node(self, queued):
        name = f"projects/p/locations/{queued.zone}/nodes/{queued.node_name}"
        queued_name = f"projects/p/locations/{queued.zone}/queuedResources/{queued.name}"
        ends = [{"ipAddress": f"10.0.0.{n}", "port": 8470} for n in range(hosts(queued))]
        return {
            **queued.node,
            "name": name,
            "id": "1",
            "state": queued.node_state,
            "apiVersion": "V2",
            "queuedResource": queued_name,
            "networkEndpoints": ends,
        }

    def list_nodes(self, request, zone):
        found = [queued for queued in self.in_zone(zone) if queued.node_state]
        return {"nodes": [self.describe_node(queued) for queued in found]}

    def get_node(self, request, zone, name):
        for queued in self.in_zone(zone):
            if queued.node_name == name and queued.node_state:
                return self.describe_node(queued)
        resource = f"projects/p/locations/{zone}/nodes/{name}"
        raise ApiError(404, "NOT_FOUND", f"Resource '{resource}' was not found")

    def create(self, request, zone):
        name = request.query.get("queuedResourceId") or request.query["queued_resource_id"]
        if name in self.queued:
            resource = f"projects/p/locations/{zone}/queuedResources/{name}"
            raise ApiError(409, "ALREADY_EXISTS", f"Resource '{resource}' already exists")
        queued = Queued(request.json(), name, zone)
        self.queued[name] = queued
        self.cloud.note(f"queued resource {name}: creation requested by {request.by}")
        operation = self.start_operation(zone)
        after = self.cloud.clock.after
        after(2, lambda: operation.update(done=True, response=self.describe(queued)))
        faults = self.cloud.faults
        if self.cloud.takes_stockout():
            if faults.tpu_waits:
                after(10, lambda: self.change(queued, "ACCEPTED", "WAITING_FOR_RESOURCES"))
                after(faults.tpu_waits, lambda: self.provision(queued))
            else:
                after(60, lambda: self.fail(queued))
        else:
            after(10, lambda: self.provision(queued))
        limit = queued.body.get("queueingPolicy", {}).get("validUntilDuration")
        if limit:
            after(float(limit.removesuffix("s")), lambda: self.expire(queued))
        self.cloud.phase("provisioning", queued)
        return operation

    def change(self, queued, old, new):
        """Changes the state if it is the old one and the resource still exists."""
        if self.queued.get(queued.name) is not queued or queued.state != old:
            return False
        queued.state = new
        self.cloud.note(f"queued resource {queued.name}: {new}")
        return True

    def fail(self, queued):
        if self.change(queued, "ACCEPTED", "FAILED"):
            queued.error = {
                "code": 8,
                "message": f"There is no more capacity in the zone {queued.zone!r}; you can try in "
                "another zone where Cloud TPU Nodes are offered",
            }

    def expire(self, queued):
        for state in ("ACCEPTED", "WAITING_FOR_RESOURCES"):
            if self.change(queued, state, "FAILED"):
                queued.error = {"code": 4, "message": "The request is no longer valid."}

    def provision(self, queued):
        self.change(queued, "WAITING_FOR_RESOURCES", "ACCEPTED")
        if self.change(queued, "ACCEPTED", "PROVISIONING"):
            queued.node_state = "CREATING"
            self.cloud.clock.after(
                self.cloud.faults.operation_seconds, lambda: self.activate(queued)
            )

    def activate(self, queued):
        if not self.change(queued, "PROVISIONING", "ACTIVE"):
            return
        queued.node_state = "READY"
        self.cloud.bill(queued.name)
        for number in range(hosts(queued)):
            metadata = {**queued.node.get("metadata", {}), "agent-worker-number": str(number)}
            name = f"t1v-n-{queued.name}-w-{number}"
            machine = self.cloud.add_machine(name, queued.name, queued.zone, metadata)
            queued.machines.append(machine)
        self.cloud.clock.after(self.cloud.faults.boot_seconds, lambda: self.boot(queued))

    def boot(self, queued):
        if queued.state == "ACTIVE" and "startup-script" in queued.node.get("metadata", {}):
            self.cloud.phase("installing", queued)
            for machine in queued.machines:
                machine.start_script(machine.metadata["startup-script"])

    def preempt(self, queued, notice):
        """Ends the node; the queued resource stays, as SUSPENDED."""
        if self.queued.get(queued.name) is not queued:
            return
        if not queued.machines:
            for state in ("ACCEPTED", "PROVISIONING", "WAITING_FOR_RESOURCES"):
                if self.change(queued, state, "SUSPENDED"):
                    queued.node_state = None
            return
        if not self.change(queued, "ACTIVE", "SUSPENDING"):
            return

        def end():
            queued.node_state = "PREEMPTED"
            self.cloud.end_bill(queued.name)
            self.change(queued, "SUSPENDING", "SUSPENDED")

        self.terminate(queued, notice, end, preempted=True)

    def terminate(self, queued, seconds, then, preempted=False):
        """Stops all hosts."""
        for machine in queued.machines:
            machine.terminate(seconds, lambda: None, preempted)

        def end():
            for machine in queued.machines:
                machine.kill()
            then()

        self.cloud.clock.after(seconds, end)

    def delete(self, request, zone, name):
        queued = self.find(zone, name)
        force = request.query.get("force", "").lower() == "true"
        if queued.node_state and not force:
            message = "Queued resource has nodes; delete them first or use force"
            raise ApiError(400, "FAILED_PRECONDITION", message)
        operation = self.start_operation(zone)
        if queued.state == "DELETING":
            raise ApiError(409, "ABORTED", f"{name} is being deleted")
        self.cloud.check_delete(request, name)
        queued.state = "DELETING"

        def end():
            self.cloud.end_bill(name)
            del self.queued[name]
            operation.update(done=True, response={})

        after = self.cloud.clock.after
        self.terminate(queued, NOTICE_SECONDS, lambda: after(DELETE_SECONDS, end))
        return Answer(operation)


def hosts(queued):
    """Number of hosts of a v4-N: four chips of two cores each."""
    match = re.search(r"-(\d+)$", queued.node.get("acceleratorType", ""))
    return max(1, int(match[1]) // 8) if match else 1
