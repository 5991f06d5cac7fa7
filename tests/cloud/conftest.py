"""A fake Google Cloud for the real gcloud: a loopback server, and folders as machines.

The server records gcloud's requests and answers like the services. `ssh` and `scp` on PATH are
scripts that use a folder instead of a host. Everything else is real.
"""

# ruff: noqa: ARG002, N815  (all handlers have the same arguments; http.server names do_GET)
import base64
import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TOKEN = "ya29.planted-access-token-of-a-test"


@dataclasses.dataclass
class Request:
    method: str
    path: str
    query: str
    body: dict


@dataclasses.dataclass
class Cloud:
    """The state of the services, and how they behave in a test.

    Attributes:
      folder: contains machines, scripts and configuration.
      requests: all requests, in order.
      states: states of a queued resource, one per query; the last one is repeated.
      job_states: likewise for a custom job, each with an error message or None.
      refusal: (status, body) of the answer to every creation, or None.
      logs: lines that a custom job has logged.
      created: the resources that exist, by name.
    """

    folder: Path
    root: Path = ROOT
    requests: list[Request] = dataclasses.field(default_factory=list)
    states: list[str] = dataclasses.field(default_factory=lambda: ["PROVISIONING", "ACTIVE"])
    job_states: list[tuple] = dataclasses.field(default_factory=list)
    refusal: tuple | None = None
    logs: list[str] = dataclasses.field(default_factory=list)
    created: dict = dataclasses.field(default_factory=dict)
    metadata: dict = dataclasses.field(default_factory=lambda: {"items": []})
    objects: dict = dataclasses.field(default_factory=dict)
    environment: dict = dataclasses.field(default_factory=dict)

    def runs(self, *texts):
        """Sets the job: shell scripts, the first for the first start, and so on."""
        for number, text in enumerate(texts):
            (self.folder / f"run-{number}").write_text(text)

    def requested(self, method, pattern):
        return [
            request
            for request in self.requests
            if request.method == method and re.search(pattern, request.path)
        ]

    def machines(self):
        return sorted(path.name for path in (self.folder / "machines").iterdir())

    def started(self):
        """One line per start of a job: folder, TF_CONFIG, TPU_LOAD_LIBRARY, arguments."""
        path = self.folder / "started"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if not line.startswith("nvidia-smi")]

    def submit(self, *arguments, **environment):
        return subprocess.Popen(
            [sys.executable, "-m", "trainer", "submit", *arguments],
            cwd=ROOT,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    # The answers of the services: (status, body).

    def answer(self, request):
        for method, pattern, function in self.ROUTES:
            match = re.fullmatch(pattern, request.path)
            if method == request.method and match:
                return getattr(self, function)(request, *match.groups())
        return 404, error(404, "NOT_FOUND", f"not found: {request.path}")

    ROUTES = (
        ("POST", r"/v2/projects/p/locations/[^/]+/queuedResources", "create_queued"),
        ("GET", r"/v2/.*/queuedResources/([^/]+)", "get_queued"),
        ("DELETE", r"/v2/.*/queuedResources/([^/]+)", "delete"),
        ("GET", r"/v2/.*/nodes/([^/]+)", "get_node"),
        ("PATCH", r"/v2/.*/nodes/([^/]+)", "patch_node"),
        ("POST", r"/v2/.*/nodes/[^/]+:getGuestAttributes", "guest_attributes"),
        ("GET", r"/v2/.*/operations/(.*)", "get_operation"),
        ("POST", r"/v1/projects/p/locations/[^/]+/customJobs", "create_job"),
        ("GET", r"/v1/.*/customJobs/(\d+)", "get_job"),
        ("POST", r"/v1/.*/customJobs/(\d+):cancel", "cancel_job"),
        ("POST", r"/v2/entries:list", "list_logs"),
        ("GET", r"/compute/v1/projects/p", "get_project"),
        ("POST", r"/compute/v1/projects/p/setCommonInstanceMetadata", "set_metadata"),
        ("GET", r"/compute/v1/projects/p/zones/([^/]+)", "get_zone"),
        ("POST", r"/compute/v1/projects/p/zones/[^/]+/instances", "create_instance"),
        ("GET", r"/compute/v1/projects/p/zones/[^/]+/instances/([^/]+)", "get_instance"),
        ("GET", r"/compute/v1/projects/p/zones/[^/]+/instances", "list_instances"),
        ("DELETE", r"/compute/v1/projects/p/zones/[^/]+/instances/([^/]+)", "delete_instance"),
        ("GET", r"/compute/v1/.*/operations/(.*)", "compute_operation"),
        ("POST", r"/compute/v1/.*/operations/(.*)/wait", "compute_operation"),
        ("POST", r"/upload/storage/v1/b/([^/]+)/o", "upload"),
        ("GET", r"/storage/v1/b/([^/]+)", "get_bucket"),
        ("GET", r"/storage/v1/b/([^/]+)/o/(.*)", "get_object"),
        ("GET", r"/storage/v1/b/([^/]+)/o", "list_objects"),
        ("DELETE", r"/storage/v1/b/([^/]+)/o/(.*)", "delete_object"),
    )

    def create_queued(self, request):
        if self.refusal:
            return self.refusal
        name = re.search(r"queuedResourceId=([^&]+)", request.query)[1]
        if name in self.created:
            return 409, error(409, "ALREADY_EXISTS", f"{name} already exists")
        self.created[name] = dict(request.body["tpu"]["nodeSpec"][0]["node"])
        return 200, operation(name)

    def get_queued(self, request, name):
        if name not in self.created:
            return 404, error(404, "NOT_FOUND", f"{name} was not found")
        state = self.states[0]
        if len(self.states) > 1:
            self.states.pop(0)
        body = {"name": f"projects/p/locations/z/queuedResources/{name}", "state": {"state": state}}
        return 200, body

    def delete(self, request, name):
        if name not in self.created:
            return 404, error(404, "NOT_FOUND", f"{name} was not found")
        del self.created[name]
        self.forget_machines()
        return 200, operation(name)

    def forget_machines(self):
        shutil.rmtree(self.folder / "machines")
        (self.folder / "machines").mkdir()

    def node(self, name):
        hosts = 4 if self.created[name]["acceleratorType"] == "v4-32" else 1
        return {
            **self.created[name],
            "name": f"projects/p/locations/us-central2-b/nodes/{name}",
            "id": "1",
            "state": "READY",
            "apiVersion": "V2",
            "networkEndpoints": [
                {"ipAddress": f"10.0.0.{n}", "accessConfig": {"externalIp": f"192.0.2.{n}"}}
                for n in range(hosts)
            ],
        }

    def get_node(self, request, name):
        return 200, self.node(name)

    def patch_node(self, request, name):
        self.created[name].update(request.body)
        return 200, operation(name)

    def guest_attributes(self, request):
        return 200, {"guestAttributes": [{"queryPath": "", "queryValue": {"items": []}}]}

    def get_operation(self, request, name):
        response = self.node(name) if name in self.created else {}
        return 200, {**operation(name), "done": True, "response": response}

    def create_job(self, request):
        if self.refusal:
            return self.refusal
        self.created["7"] = request.body
        return 200, {"name": "projects/1/locations/us-central1/customJobs/7", **request.body}

    def get_job(self, request, name):
        state, message = self.job_states[0]
        if len(self.job_states) > 1:
            self.job_states.pop(0)
        body = {"name": f"projects/1/locations/us-central1/customJobs/{name}", "state": state}
        if message:
            body["error"] = {"code": 3, "message": message}
        return 200, body

    def cancel_job(self, request, name):
        self.job_states[:] = [("JOB_STATE_CANCELLED", None)]
        return 200, {}

    def list_logs(self, request):
        entries = [
            {
                "insertId": str(n),
                "timestamp": f"2026-01-01T00:00:{n:02}Z",
                "severity": "INFO",
                "jsonPayload": {"message": line},
                "resource": {"type": "ml_job", "labels": {"task_name": "workerpool0-0"}},
                "logName": "projects/p/logs/workerpool0-0",
            }
            for n, line in enumerate(self.logs)
        ]
        return 200, {"entries": entries}

    def get_bucket(self, request, bucket):
        return 200, {"name": bucket, "kind": "storage#bucket"}

    def upload(self, request, bucket):
        _, head, body, _ = re.split(r"\n?--=+\d+==(?:--)?\n?", request.body["content"])
        name = json.loads(head.partition("\n\n")[2])["name"]
        content = body.partition("\n\n")[2]
        digest = base64.b64encode(hashlib.md5(content.encode()).digest()).decode()
        self.objects[name] = content
        return 200, {**stored(bucket, name), "md5Hash": digest}

    def get_object(self, request, bucket, name):
        name = urllib.parse.unquote(name)
        if name not in self.objects:
            return 404, error(404, "notFound", f"No such object: {name}")
        return 200, stored(bucket, name)

    def list_objects(self, request, bucket):
        prefix = urllib.parse.parse_qs(request.query).get("prefix", [""])[0]
        names = [name for name in self.objects if name.startswith(prefix)]
        return 200, {"kind": "storage#objects", "items": [stored(bucket, name) for name in names]}

    def delete_object(self, request, bucket, name):
        del self.objects[urllib.parse.unquote(name)]
        return 200, {}

    def get_project(self, request):
        return 200, {"name": "p", "commonInstanceMetadata": self.metadata}

    def set_metadata(self, request):
        self.metadata = request.body
        return 200, compute_operation("metadata", done=False)

    def get_zone(self, request, zone):
        return 200, {"name": zone, "status": "UP"}

    def create_instance(self, request):
        if self.refusal:
            return self.refusal
        name = request.body["name"]
        if name in self.created:
            return 409, error(409, "alreadyExists", f"The resource {name!r} already exists")
        self.created[name] = request.body
        return 200, compute_operation(name, done=False)

    def instance(self, name):
        number = sorted(self.created).index(name)
        state = self.states[0]
        if len(self.states) > 1:
            self.states.pop(0)
        return {
            **self.created[name],
            "id": str(number + 1),
            "status": state,
            "zone": "http://127.0.0.1/compute/v1/projects/p/zones/us-central1-a",
            "selfLink": f"http://127.0.0.1/compute/v1/projects/p/zones/us-central1-a/instances/{name}",
            "networkInterfaces": [
                {
                    "networkIP": f"10.0.0.{number}",
                    "accessConfigs": [{"natIP": f"192.0.2.{number}", "name": "external-nat"}],
                }
            ],
        }

    def get_instance(self, request, name):
        if name not in self.created:
            return 404, error(404, "notFound", f"The resource {name!r} was not found")
        return 200, self.instance(name)

    def list_instances(self, request):
        return 200, {"items": [self.instance(name) for name in sorted(self.created)]}

    def delete_instance(self, request, name):
        if self.created.pop(name, None) is None:
            return 404, error(404, "notFound", f"The resource {name!r} was not found")
        self.forget_machines()
        return 200, compute_operation(name, done=False)

    def compute_operation(self, request, name):
        return 200, compute_operation(name, done=True)


def operation(name):
    return {"name": f"projects/p/locations/us-central2-b/operations/{name}", "done": False}


def stored(bucket, name):
    return {
        "kind": "storage#object",
        "bucket": bucket,
        "name": name,
        "size": "1",
        "generation": "1",
    }


def compute_operation(name, done):
    project = "http://127.0.0.1/compute/v1/projects/p"
    of_project = name == "metadata"
    base = f"{project}/global" if of_project else f"{project}/zones/us-central1-a"
    return {
        "name": name,
        "status": "DONE" if done else "RUNNING",
        "operationType": "insert",
        "targetLink": project if of_project else f"{base}/instances/{name}",
        "selfLink": f"{base}/operations/{name}",
        **({} if of_project else {"zone": base}),
    }


def error(code, status, message):
    return {"error": {"code": code, "status": status, "message": message}}


def serve(cloud):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            text = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.path.startswith("/batch/"):
                return self.handle_batch(text)
            status, body = self.answer(self.command, self.path, text)
            return self.reply(status, "application/json", json.dumps(body).encode())

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_any

        def answer(self, method, target, text):
            path, _, query = target.partition("?")
            try:
                body = json.loads(text) if text else {}
            except ValueError:
                body = {"content": text.decode(errors="replace")}
            request = Request(method, path, query, body)
            cloud.requests.append(request)
            return cloud.answer(request)

        def handle_batch(self, text):
            boundary = text.split(b"\r\n" if b"\r\n" in text else b"\n", 1)[0]
            parts = []
            for part in text.split(boundary)[1:-1]:
                head, _, inner = part.decode().replace("\r\n", "\n").strip().partition("\n\n")
                identifier = re.search(r"Content-ID: <(.*)>", head)[1]
                line, _, rest = inner.partition("\n")
                method, target, _ = line.split(" ")
                status, body = self.answer(method, target, rest.partition("\n\n")[2].strip())
                content = json.dumps(body)
                parts.append(
                    f"--answers\r\nContent-Type: application/http\r\n"
                    f"Content-ID: <response-{identifier}>\r\n\r\nHTTP/1.1 {status} X\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
                    f"{content}\r\n"
                )
            body = ("".join(parts) + "--answers--").encode()
            self.reply(200, "multipart/mixed; boundary=answers", body)

        def reply(self, status, kind, body):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


SSH = """#!/bin/sh
# ssh [flags] USER@HOST [flags] -- COMMAND: a shell in the host's folder.
for word; do case "$word" in *@*) host=${word#*@};; esac; done
while [ "$1" != -- ]; do shift; done
shift
[ -e "$CLOUD/no-connection" ] && exit 255
mkdir -p "$CLOUD/machines/$host" && cd "$CLOUD/machines/$host" || exit 255
HOME=$PWD PATH=$CLOUD/machine:$PATH exec sh -c "$*"
"""
SCP = """#!/bin/sh
for word; do from=$to; to=$word; done
to=${to#*@}
mkdir -p "$CLOUD/machines/${to%%:*}" && cp "$from" "$CLOUD/machines/${to%%:*}/${to#*:}"
"""
# On a machine, python3 creates an environment whose pip records its arguments and whose trainer
# runs the script of the test.
PYTHON = """#!/bin/sh
mkdir -p "$3/bin"
cat > "$3/bin/pip" <<'END'
#!/bin/sh
echo "$*" >> "$HOME/pip"
END
cat > "$3/bin/trainer" <<'END'
#!/bin/sh
echo "$PWD $TF_CONFIG $TPU_LOAD_LIBRARY $*" >> "$CLOUD/started"
n=$(cat "$CLOUD/number" 2> /dev/null || echo 0)
echo $((n + 1)) > "$CLOUD/number"
. "$CLOUD/run-$n"
END
chmod +x "$3/bin/pip" "$3/bin/trainer"
"""
SUDO = """#!/bin/sh
exec "$@"
"""
NOTE = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CLOUD/started"
"""


def write_script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture(scope="session")
def make_cloud(tmp_path_factory):
    """A function that makes a cloud whose states change with each query."""
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed")
    # gcloud would generate an ssh key for each cloud, which takes longer.
    key = tmp_path_factory.mktemp("key") / "google_compute_engine"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", key], check=True)
    servers = []

    def make():
        folder = tmp_path_factory.mktemp("cloud")
        cloud = Cloud(folder)
        for name in ("machines", "config", "tmp", ".ssh"):
            (folder / name).mkdir()
        (folder / "token").write_text(TOKEN)
        for path in (key, key.with_suffix(".pub")):
            shutil.copy(path, folder / ".ssh")
        for name, text in (("ssh", SSH), ("scp", SCP)):
            write_script(folder / "bin" / name, text)
        for name, text in (("python3", PYTHON), ("sudo", SUDO), ("nvidia-smi", NOTE)):
            write_script(folder / "machine" / name, text)
        servers.append(serve(cloud))
        address = f"http://127.0.0.1:{servers[-1].server_port}/"
        services = ("AIPLATFORM", "TPU", "COMPUTE", "LOGGING", "STORAGE", "OSLOGIN")
        cloud.environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "TMPDIR": str(folder / "tmp"),
            "CLOUD": str(folder),
            "CLOUDSDK_CONFIG": str(folder / "config"),
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(folder / "token"),
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
            **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}": address for service in services},
        }
        return cloud

    yield make
    for server in servers:
        server.shutdown()


@pytest.fixture
def cloud(make_cloud):
    """A cloud of one test."""
    return make_cloud()


@pytest.fixture
def until():
    """A function that waits until a condition holds."""

    def until(holds, seconds=60):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "timed out"
            time.sleep(0.1)

    return until
