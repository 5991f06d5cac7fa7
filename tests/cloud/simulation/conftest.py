import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))  # for `import simulation`


@pytest.fixture(scope="session")
def gcloud(tmp_path_factory):
    """The server of the real gcloud."""
    from simulation.gcloud import Gcloud

    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed")
    server = Gcloud(tmp_path_factory.mktemp("gcloud"))
    yield server
    server.close()


@pytest.fixture
def make_cloud(gcloud, tmp_path):
    """A function that makes a simulated cloud."""
    from simulation.services import Cloud

    clouds = []

    def make(faults=None):
        clouds.append(Cloud(tmp_path / f"cloud{len(clouds)}", faults, gcloud.socket))
        return clouds[-1]

    yield make
    for cloud in clouds:
        cloud.close()
        assert cloud.failures == []


@pytest.fixture
def cloud(make_cloud):
    return make_cloud()


@pytest.fixture
def user(make_cloud):
    """A function that makes a user with a cloud of their own, whose faults are the arguments."""
    from simulation.faults import Faults
    from simulation.user import User

    def make(target="gpu-vm", **faults):
        return User(make_cloud(Faults(target, **faults)))

    return make


@pytest.fixture
def call():
    """Runs gcloud in simulated time: call(cloud, "storage ls gs://b")."""

    def call(cloud, command, stdin="", limit=10**6, **variables):
        environment = {**cloud.environment(), **variables, **cloud.clock.environment("submitter")}
        words = command.split() if isinstance(command, str) else command
        process = subprocess.Popen(
            ["gcloud", *words],
            env=environment,
            executable=str(cloud.folder / "bin" / "gcloud"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        cloud.clock.announce(environment["SIMULATED_ACTOR"], process.pid)
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        assert cloud.clock.run(lambda: process.poll() is not None, limit), cloud.clock.describe()
        output, errors = process.communicate()
        return process.returncode, output, errors

    return call
