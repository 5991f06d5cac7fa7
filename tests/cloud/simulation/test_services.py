"""The simulated services, by plain gcloud commands and small startup scripts."""

import json

import pytest

from simulation.faults import Faults, Preemption, Window

pytestmark = pytest.mark.slow

CREATE = (
    "compute instances create vm --project=p --zone=us-central1-a --machine-type=g2-standard-8 "
    "--labels=made-by=trainer --provisioning-model=SPOT --instance-termination-action=DELETE "
    "--max-run-duration=3600s --metadata-from-file=startup-script={script} --metadata=trainer-job=j"
)
QUEUE = (
    "compute tpus queued-resources create q --project=p --zone=us-central2-b --node-id=q "
    "--accelerator-type=v4-8 --runtime-version=tpu-ubuntu2204-base --spot "
    "--labels=made-by=trainer --metadata-from-file=startup-script={script}"
)
VM = "compute instances {} vm --project=p --zone=us-central1-a --format=json"
TPU = "compute tpus queued-resources {} q --project=p --zone=us-central2-b --format=json"
JOBS = "ai custom-jobs {} --project=p --region=us-central1 --format=json"

# Reads the metadata server, trains, then deletes its own instance.
SCRIPT = """#!/usr/bin/env python3
import json, os, signal, subprocess, sys, time, urllib.request
def metadata(key):
    url = f"http://{os.environ['GCE_METADATA_HOST']}/computeMetadata/v1/{key}"
    request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
    return urllib.request.urlopen(request).read().decode()
subprocess.run([sys.executable, "-m", "venv", "env"], check=True)
subprocess.run(["env/bin/pip", "install", "."], check=True)
child = subprocess.Popen(["env/bin/trainer", "train", "--workdir=gs://b/run"])
signal.signal(signal.SIGTERM, lambda *_: child.terminate())
status = child.wait()
token = json.loads(metadata("instance/service-accounts/default/token"))["access_token"]
headers = {"Authorization": f"Bearer {token}"}
base = os.environ["CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE"]
url = base + "upload/storage/v1/b/b/o?uploadType=media&ifGenerationMatch=0&name=run/status"
data = json.dumps([metadata("instance/attributes/trainer-job"), status]).encode()
urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers, method="POST"))
project, zone = metadata("project/project-id"), metadata("instance/zone").rpartition("/")[2]
base = os.environ["CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"]
url = f"{base}compute/v1/projects/{project}/zones/{zone}/instances/{metadata('instance/name')}"
urllib.request.urlopen(urllib.request.Request(url, headers=headers, method="DELETE"))
time.sleep(1000)
"""
SHORT = """#!/usr/bin/env python3
import subprocess, time
time.sleep(100)
subprocess.call(["trainer", "train", "--workdir=gs://b/run"])
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script"
    path.write_text(SCRIPT)
    return path


def test_objects_have_generations_and_preconditions(cloud, call, tmp_path):
    file = tmp_path / "file"
    file.write_text("first\n")
    copy = f"storage cp {file} gs://b/run/jobs/1/record"
    assert call(cloud, f"{copy} --if-generation-match=0")[0] == 0
    status, _, errors = call(cloud, f"{copy} --if-generation-match=0")
    assert status == 1
    assert "HTTPError 412: At least one of the pre-conditions" in errors
    listed = json.loads(call(cloud, "storage objects list gs://b/run/** --format=json")[1])
    assert [item["name"] for item in listed] == ["run/jobs/1/record"]
    file.write_text("second\n")
    generation = listed[0]["generation"]
    assert call(cloud, f"{copy} --if-generation-match={generation}")[0] == 0
    assert call(cloud, f"{copy} --if-generation-match={generation}")[0] == 1
    assert call(cloud, "storage cat gs://b/run/jobs/1/record")[1] == "second\n"
    described = json.loads(
        call(cloud, "storage objects describe gs://b/run/jobs/1/record --format=json")[1]
    )
    assert described["generation"] != generation
    assert call(cloud, "storage ls gs://b/run/jobs/")[1] == "gs://b/run/jobs/1/\n"
    assert call(cloud, "storage cat gs://b/none")[0] == 1
    assert call(cloud, "storage rm gs://b/run/jobs/1/record")[0] == 0
    assert cloud.storage.objects == {}


def test_large_and_many_objects(cloud, call, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 2**10)
    resumable = {"CLOUDSDK_STORAGE_RESUMABLE_THRESHOLD": "100k"}
    assert call(cloud, f"storage cp {file} gs://b/large", **resumable)[0] == 0
    assert cloud.storage.read("large") == file.read_bytes()
    status, _, errors = call(cloud, f"storage cp gs://b/large {tmp_path}/copy")
    assert status == 0, errors
    assert (tmp_path / "copy").read_bytes() == file.read_bytes()
    stored = cloud.storage.objects["b", "large"]
    cloud.storage.objects.update({("b", f"many/{n:04}"): stored for n in range(2500)})
    names = call(cloud, "storage ls gs://b/many/**")[1].splitlines()
    assert len(names) == 2500


def test_checks_before_a_submission(cloud, call):
    bucket = "//storage.googleapis.com/projects/_/buckets/b"
    words = "--principal-email=user@example.com --permission=storage.objects.create --format=json"
    status, output, errors = call(cloud, f"policy-troubleshoot iam {bucket} {words}")
    assert status == 0, errors
    assert json.loads(output)["access"] == "GRANTED"
    status, output, errors = call(
        cloud, "compute regions describe us-central1 --project=p --format=json(quotas)"
    )
    assert status == 0, errors
    assert {"metric": "NVIDIA_L4_GPUS", "limit": 64.0, "usage": 1.0} in json.loads(output)["quotas"]
    status, output, errors = call(cloud, "compute project-info describe --project=p --format=json")
    assert status == 0, errors
    image = "us-docker.pkg.dev/p/r/trainer:1"
    status, output, errors = call(cloud, f"artifacts docker images describe {image} --project=p")
    assert status == 0, errors


def test_instance_from_creation_to_its_own_deletion(make_cloud, call, script):
    cloud = make_cloud(Faults("gpu-vm", steps=100))
    status, _output, errors = call(cloud, CREATE.format(script=script))
    assert status == 0, errors
    assert json.loads(call(cloud, VM.format("describe"))[1])["status"] == "RUNNING"
    assert call(cloud, CREATE.format(script=script))[0] == 1  # it exists already
    listed = "compute instances list --project=p --filter=labels.made-by={} --format=json"
    assert len(json.loads(call(cloud, listed.format("trainer"))[1])) == 1
    assert json.loads(call(cloud, listed.format("other"))[1]) == []

    assert cloud.clock.run(lambda: not cloud.compute.instances, 2 * 3600), cloud.notes
    assert json.loads(cloud.storage.read("run/status")) == ["j", 75]  # max-run-duration ended it
    assert cloud.violations == cloud.leftovers() == []
    (bill,) = cloud.bills
    assert bill.end - bill.start == pytest.approx(3600, abs=60)
    done = json.loads(cloud.storage.read("run/progress.json"))
    assert 50 < len(done) < 60


def test_job_that_ends_before_the_limit(make_cloud, call, script):
    cloud = make_cloud(Faults("gpu-vm", steps=20))
    assert call(cloud, CREATE.format(script=script))[0] == 0
    assert cloud.clock.run(lambda: not cloud.compute.instances, 2 * 3600), cloud.notes
    assert json.loads(cloud.storage.read("run/status")) == ["j", 0]
    assert json.loads(cloud.storage.read("run/result.json")) == {"steps": [*range(1, 21)]}
    assert [name for _, name, _ in cloud.storage.writes].count("run/result.json") == 1
    assert cloud.violations == []


def test_stockout_of_an_instance(make_cloud, call, script):
    cloud = make_cloud(Faults("gpu-vm", stockouts=1))
    status, _, errors = call(cloud, CREATE.format(script=script))
    assert status == 1
    # gcloud breaks the message into lines.
    assert "does not have enough resources available to fulfill the request" in " ".join(
        errors.split()
    )
    assert cloud.leftovers() == cloud.bills == []
    assert call(cloud, CREATE.format(script=script))[0] == 0


@pytest.mark.parametrize("notice", [0, 30])
def test_preempted_instance_saves_if_it_is_told(make_cloud, call, tmp_path, notice):
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nexec trainer train --workdir=gs://b/run\n")
    cloud = make_cloud(Faults("gpu-vm", preemptions=(Preemption("running", 470, notice),)))
    assert call(cloud, CREATE.format(script=script))[0] == 0
    assert cloud.clock.run(lambda: not cloud.compute.instances, 3600), cloud.notes
    steps = json.loads(cloud.storage.read("run/progress.json"))
    assert len(steps) == (7 if notice else 5)
    assert cloud.machines["vm"].preempted
    assert cloud.leftovers() == []


def test_deletion_of_a_healthy_job_and_two_writers_are_noticed(cloud, call, tmp_path):
    script = tmp_path / "script"
    script.write_text(SHORT)
    assert call(cloud, CREATE.format(script=script))[0] == 0
    assert call(cloud, QUEUE.format(script=script))[0] == 0
    assert cloud.clock.run(lambda: cloud.violations, 3600)
    assert "two writers of gs://b/run" in cloud.violations[0]
    # The one that wrote last.
    assert call(cloud, TPU.format("delete") + " --quiet --force")[0] == 0
    assert "submitter deleted q while its job was running" in cloud.violations
    assert call(cloud, VM.format("delete") + " --quiet")[0] == 0
    assert cloud.clock.run(lambda: not cloud.leftovers(), cloud.clock.now + 600)
    assert not any(machine.processes() for machine in cloud.machines.values())


def test_queued_resource_from_creation_to_deletion(make_cloud, call, tmp_path):
    script = tmp_path / "script"
    script.write_text(SHORT)
    cloud = make_cloud(Faults("tpu-vm", preemptions=(Preemption("running", 60, 30),)))
    status, _, errors = call(cloud, QUEUE.format(script=script))
    assert status == 0, errors

    def state():
        return json.loads(call(cloud, TPU.format("describe"))[1])["state"]["state"]

    assert cloud.clock.run(lambda: cloud.tpu.queued["q"].state == "ACTIVE", 600)
    assert state() == "ACTIVE"
    node = "compute tpus tpu-vm describe q --project=p --zone=us-central2-b --format=json"
    assert json.loads(call(cloud, node)[1])["state"] == "READY"
    listed = "compute tpus queued-resources list --project=p --zone=us-central2-b --format=json"
    assert len(json.loads(call(cloud, listed)[1])) == 1
    assert cloud.clock.run(lambda: cloud.tpu.queued["q"].state == "SUSPENDED", 3600), cloud.notes
    assert state() == "SUSPENDED"
    assert json.loads(call(cloud, node)[1])["state"] == "PREEMPTED"
    assert cloud.billed() == set()
    assert cloud.leftovers() == ["q"]
    status, _, errors = call(cloud, TPU.format("delete") + " --force --quiet")
    assert status == 0, errors
    assert cloud.leftovers() == cloud.violations == []


def test_tpu_without_capacity(make_cloud, call, script):
    cloud = make_cloud(Faults("tpu-vm", stockouts=1, tpu_waits=7200))
    assert call(cloud, QUEUE.format(script=script))[0] == 0
    assert cloud.clock.run(lambda: cloud.clock.now > 600, 1000)
    assert cloud.tpu.queued["q"].state == "WAITING_FOR_RESOURCES"
    assert cloud.clock.run(lambda: cloud.tpu.queued["q"].state == "ACTIVE", 8000)
    cloud = make_cloud(Faults("tpu-vm", stockouts=1))
    assert call(cloud, QUEUE.format(script=script))[0] == 0
    assert cloud.clock.run(lambda: cloud.tpu.queued["q"].state == "FAILED", 600)
    assert cloud.bills == []


def custom_job(**scheduling):
    container = {
        "imageUri": "us-docker.pkg.dev/p/r/trainer:1",
        "args": ["train", "--workdir=gs://b/run"],
    }
    spec = {
        "scheduling": scheduling,
        "workerPoolSpecs": [
            {
                "machineSpec": {"machineType": "n1-standard-16"},
                "replicaCount": 1,
                "containerSpec": container,
            }
        ],
    }
    return json.dumps(spec)


def test_custom_job(make_cloud, call, tmp_path):
    cloud = make_cloud(Faults("vertex", steps=10))
    path = tmp_path / "job.json"
    path.write_text(custom_job())
    create = JOBS.format("create") + f" --display-name=j --config={path} --labels=made-by=trainer"
    status, output, errors = call(cloud, create)
    assert status == 0, errors
    name = json.loads(output)["name"]
    assert cloud.clock.run(lambda: cloud.billed(), 600)
    assert json.loads(call(cloud, JOBS.format(f"describe {name}"))[1])["state"].endswith("RUNNING")
    found = JOBS.format("list") + " --filter=labels.made-by=trainer"
    assert [job["name"] for job in json.loads(call(cloud, found)[1])] == [name]
    assert cloud.clock.run(lambda: not cloud.billed(), 3600), cloud.notes
    assert json.loads(call(cloud, JOBS.format(f"describe {name}"))[1])["state"].endswith(
        "SUCCEEDED"
    )
    assert len(json.loads(cloud.storage.read("run/result.json"))["steps"]) == 10


def test_failed_custom_job_shows_its_error_later(make_cloud, call, tmp_path):
    cloud = make_cloud(Faults("vertex", steps=10, exit_status=2, vertex_restarts=1))
    path = tmp_path / "job.json"
    path.write_text(custom_job())
    create = JOBS.format("create") + f" --display-name=j --config={path}"
    assert call(cloud, create)[0] == 0
    (job,) = cloud.vertex.jobs.values()
    assert cloud.clock.run(lambda: job.state == "JOB_STATE_FAILED", 3600), cloud.notes
    assert job.restarts == 1
    ended = cloud.clock.now
    assert job.error is None
    assert cloud.clock.run(lambda: job.error, 3600)
    assert cloud.clock.now - ended == 60
    assert "exited with a non-zero status of 2" in job.error["message"]


def test_cancelled_custom_job_stops_its_container(make_cloud, call, tmp_path):
    cloud = make_cloud(Faults("vertex"))
    path = tmp_path / "job.json"
    path.write_text(custom_job())
    create = JOBS.format("create") + f" --display-name=j --config={path}"
    name = json.loads(call(cloud, create)[1])["name"]
    assert cloud.clock.run(lambda: cloud.writers, 3600), cloud.notes
    cancel = f"ai custom-jobs cancel {name} --project=p --region=us-central1"
    assert call(cloud, cancel)[0] == 0
    assert cloud.clock.run(lambda: not cloud.leftovers(), cloud.clock.now + 600)
    assert next(iter(cloud.vertex.jobs.values())).state == "JOB_STATE_CANCELLED"
    assert cloud.violations == [
        f"submitter deleted {name.rpartition('/')[2]} while its job was running"
    ]


@pytest.mark.parametrize("kind", ["401", "drop", "timeout"])
def test_requests_fail_in_a_window(make_cloud, call, kind):
    cloud = make_cloud(Faults("gpu-vm", windows=(Window(0, 4000, kind, who="submitter"),)))
    status, _, errors = call(cloud, "storage cat gs://b/a")
    assert status == 1
    assert errors.startswith("ERROR: "), errors
    assert (kind == "timeout") == (cloud.clock.now >= 60)
