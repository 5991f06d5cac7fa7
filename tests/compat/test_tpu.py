"""The TPU of a machine: device files in a folder, a metadata server and packages of these tests."""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from trainer.compat import tpu
from trainer.compat.tpu import LocalTPU
from trainer.errors import UserError

ROOT = Path(__file__).parents[2]
OFFLINE = {"TPU_SKIP_MDS_QUERY": "1"}
V6E = {"TPU_ACCELERATOR_TYPE": "v6e-8"}
PJRT = {
    "PJRT_DEVICE",
    "NEXT_PLUGGABLE_DEVICE_USE_C_API",
    "TF_PLUGGABLE_DEVICE_LIBRARY_PATH",
    "TF_XLA_FLAGS",
}


@pytest.fixture
def dev(tmp_path):
    """A /dev with one TPU, as on v5e and later ones."""
    folder = tmp_path / "dev"
    (folder / "vfio").mkdir(parents=True)
    (folder / "vfio" / "vfio").touch()
    (folder / "vfio" / "0").touch()
    return folder


@pytest.fixture
def build(tmp_path):
    """A function: a folder in which TensorFlow's build for TPUs looks installed in a version."""

    def build(version):
        folder = tmp_path / "site"
        information = folder / f"tensorflow_tpu-{version}.dist-info"
        information.mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: tensorflow-tpu\nVersion: {version}\n"
        (information / "METADATA").write_text(text)
        (folder / "libtpu").mkdir()
        (folder / "libtpu" / "__init__.py").touch()
        return folder

    return build


@pytest.fixture
def installed(build, monkeypatch):
    """A function: installs the build, and nothing else, in this process; "": not even that."""

    def installed(version):
        monkeypatch.setattr(sys, "path", [str(build(version))] if version else [])

    return installed


@pytest.fixture
def metadata_server():
    """A function: serves an accelerator type on loopback; returns variables that name it."""
    servers = []
    late = threading.Event()

    def serve(text, flavor="Google", seconds=0.0):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                late.wait(seconds)
                is_attribute = self.path.endswith("/instance/attributes/accelerator-type")
                is_google = self.headers["Metadata-Flavor"] == "Google"
                self.send_response(200 if is_attribute and is_google else 403)
                self.send_header("Metadata-Flavor", flavor)
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):
                    self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return {"GCE_METADATA_HOST": f"127.0.0.1:{server.server_port}"}

    yield serve
    late.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def test_device_files(dev, tmp_path):
    assert tpu.device_files(dev) == [str(dev / "vfio" / "0")]
    (dev / "accel0").touch()
    assert tpu.device_files(dev) == [str(dev / "accel0"), str(dev / "vfio" / "0")]
    (tmp_path / "none" / "vfio").mkdir(parents=True)
    (tmp_path / "none" / "vfio" / "vfio").touch()
    assert tpu.device_files(tmp_path / "none") == []


def test_the_accelerator_type_comes_from_the_variable_or_the_server(metadata_server):
    server = metadata_server("v5litepod-8\n")
    assert tpu.accelerator_type(server) == "v5litepod-8"
    assert tpu.accelerator_type({**server, **V6E}) == "v6e-8"
    assert tpu.accelerator_type({**server, **OFFLINE}) == ""
    assert tpu.accelerator_type({**server, "http_proxy": "http://127.0.0.1:9"}) == "v5litepod-8"


def test_another_server_is_not_believed_and_a_slow_one_not_awaited(metadata_server, free_ports):
    assert tpu.accelerator_type(metadata_server("<html>", flavor="other")) == ""
    (port,) = free_ports(1)
    assert tpu.accelerator_type({"GCE_METADATA_HOST": f"127.0.0.1:{port}"}) == ""
    started = time.monotonic()
    assert tpu.accelerator_type(metadata_server("v6e-8", seconds=5.0)) == ""
    assert time.monotonic() - started < 3.0


@pytest.mark.parametrize(
    ("accelerator", "api"),
    [
        ("v2-8", "classic"),
        ("v3-8", "classic"),
        ("v4-8", "classic"),
        ("v5litepod-8", "pjrt"),
        ("v5p-8", "pjrt"),
        ("v6e-1", "pjrt"),
        ("v7x-8", "pjrt"),
    ],
)
def test_the_api_of_a_generation(accelerator, api, dev, installed):
    assert tpu.api(accelerator) == api
    installed("2.19.1")
    environment = {"TPU_ACCELERATOR_TYPE": accelerator}
    for is_required in (True, False):
        assert tpu.find(is_required, environment, dev) == LocalTPU(accelerator, api)


def test_the_classic_api_has_no_version_of_its_own(dev, installed):
    installed("2.20.0")
    assert tpu.find(True, {"TPU_ACCELERATOR_TYPE": "v4-8"}, dev) == LocalTPU("v4-8", "classic")


@pytest.mark.parametrize(
    ("environment", "version", "expected"),
    [
        (V6E, "2.20.0", "TPU build of TensorFlow 2.19; make setup ACCELERATOR=tpu"),
        (V6E, "2.20.0", "Received: tensorflow-tpu 2.20.0"),
        (V6E, "", "Received: tensorflow-tpu not installed"),
        (OFFLINE, "2.19.1", "set TPU_ACCELERATOR_TYPE"),
        ({"TPU_ACCELERATOR_TYPE": "v6e-16"}, "2.19.1", "several are not supported yet"),
        ({"TPU_ACCELERATOR_TYPE": "v4-16"}, "2.19.1", "several are not supported yet"),
        ({**V6E, "TPU_WORKER_HOSTNAMES": "a,b"}, "2.19.1", "TPU v6e-8, 2 worker(s)"),
    ],
)
def test_a_required_tpu_that_cannot_be_used_is_refused(
    environment, version, expected, dev, installed
):
    installed(version)
    with pytest.raises(UserError) as raised:
        tpu.find(True, environment, dev)
    assert expected in str(raised.value)
    assert "Received: " in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_machine_without_a_tpu(tmp_path, installed):
    installed("2.19.1")
    with pytest.raises(UserError, match="this machine has no TPU"):
        tpu.find(True, V6E, tmp_path)
    assert tpu.find(False, V6E, tmp_path) is None


def test_a_tpu_that_is_not_required_is_used_only_if_it_is_certain(dev, installed):
    installed("")
    assert tpu.find(False, V6E, dev) is None
    installed("2.19.1")
    assert tpu.find(False, OFFLINE, dev) is None
    assert tpu.find(False, V6E, dev) == LocalTPU("v6e-8", "pjrt")


PREPARE = """
import json, os, sys
from pathlib import Path
from trainer.compat import tpu
from trainer.errors import UserError

before = dict(os.environ)
try:
    tpu.prepare(True, dev=Path(sys.argv[1]), lock_file=Path(sys.argv[2]))
except UserError as error:
    sys.exit(str(error))
assert "tensorflow" not in sys.modules
names = before.keys() | os.environ.keys()
print(json.dumps({n: os.environ.get(n) for n in names if before.get(n) != os.environ.get(n)}))
"""


@pytest.fixture
def prepare(dev, build, tmp_path):
    """A function: prepares a process of its own; the variables that changed, and its errors."""
    site = build("2.19.1")

    def prepare(**variables):
        environment = {**os.environ, **variables, "PYTHONPATH": f"{site}:{ROOT}"}
        done = subprocess.run(
            [sys.executable, "-c", PREPARE, dev, tmp_path / "lock"],
            env={
                name: value
                for name, value in environment.items()
                if name not in PJRT - variables.keys()
            },
            capture_output=True,
            text=True,
        )
        return json.loads(done.stdout or "{}"), done.stderr

    return prepare


def test_a_process_is_prepared_for_pjrt(prepare, tmp_path):
    changed, errors = prepare(TPU_ACCELERATOR_TYPE="v5p-8", TPU_LOAD_LIBRARY="0")
    assert errors == ""
    assert changed == {
        "PJRT_DEVICE": "TPU",
        "NEXT_PLUGGABLE_DEVICE_USE_C_API": "true",
        "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": str(tmp_path / "site" / "libtpu" / "libtpu.so"),
        "TF_XLA_FLAGS": "--tf_mlir_enable_mlir_bridge=true",
        "TPU_LOAD_LIBRARY": None,
    }


def test_flags_of_xla_are_kept(prepare):
    changed, _ = prepare(**V6E, TF_XLA_FLAGS="--a=1")
    assert changed["TF_XLA_FLAGS"] == "--a=1 --tf_mlir_enable_mlir_bridge=true"
    changed, _ = prepare(**V6E, TF_XLA_FLAGS="--tf_mlir_enable_mlir_bridge=false")
    assert "TF_XLA_FLAGS" not in changed


def test_the_classic_api_needs_no_variables(prepare):
    assert prepare(TPU_ACCELERATOR_TYPE="v4-8") == ({}, "")


HOLD = """
import fcntl, sys
with open(sys.argv[1], "wb") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_tpu_that_another_process_uses_is_refused(prepare, tmp_path):
    """TensorFlow would abort; a lock that no process holds is no obstacle."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "locked\n"
    changed, errors = prepare(**V6E)
    assert changed == {}
    assert errors.startswith("another process uses the TPU")
    holder.communicate()
    assert prepare(**V6E)[0].keys() == PJRT


def test_tensorflow_must_not_be_there_yet(dev, installed, tmp_path):
    installed("2.19.1")
    environment = dict(V6E)
    with pytest.raises(RuntimeError, match="before TensorFlow is imported"):
        tpu.prepare(True, environment, dev, tmp_path / "lock")
    assert environment == V6E


def test_a_process_that_leaves_the_tpu_alone(monkeypatch):
    monkeypatch.setenv("TF_PLUGGABLE_DEVICE_LIBRARY_PATH", "/libtpu.so")
    monkeypatch.delenv("TPU_LOAD_LIBRARY", raising=False)
    before = dict(os.environ)
    with tpu.not_loaded():
        assert tpu.is_hidden(os.environ)
        assert "TF_PLUGGABLE_DEVICE_LIBRARY_PATH" not in os.environ
    assert dict(os.environ) == before


def test_a_child_that_must_not_claim_a_tpu(dev, tmp_path):
    given = {**V6E, "A": "1", "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": "/libtpu.so"}
    assert tpu.environment_without(given, dev) == {**V6E, "A": "1", "TPU_LOAD_LIBRARY": "0"}
    assert tpu.environment_without(given, tmp_path) == {**V6E, "A": "1"}
    classic = {"TPU_ACCELERATOR_TYPE": "v4-8"}
    assert tpu.environment_without(classic, dev) == classic
