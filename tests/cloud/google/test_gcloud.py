"""Submissions with the real gcloud; compares its requests with the expected ones."""

import shlex
import signal
import subprocess

import pytest

from trainer.io.redaction import HIDDEN

QUOTA = (
    429,
    {
        "error": {
            "code": 429,
            "status": "RESOURCE_EXHAUSTED",
            "message": "Quota limit 'TPUV4sPreemptiblePerProjectPerZone' has been exceeded.",
        }
    },
)
TRAIN = ("--config=configs/digits_cnn.py", "--config.model.units=64,64", "--workdir=gs://b/run")
INSTALL = "install --quiet --disable-pip-version-check --no-deps --use-pep517"
HERE = ("--project=p", "--poll_seconds=1")
TPU = ("--target=tpu-vm", "--zone=us-central2-b", "--accelerator=v4-8", *HERE, *TRAIN)
GPU = ("--target=gpu-vm", "--zone=us-central1-a", "--accelerator=nvidia-l4", *HERE, *TRAIN)
IMAGE = "us-docker.pkg.dev/p/r/trainer:1"
VERTEX = (
    "--target=vertex",
    "--region=us-central1",
    "--accelerator=nvidia-tesla-t4:2",
    "--bucket=b",
    f"--image={IMAGE}",
    *HERE,
    *TRAIN,
)
SAVES_WHEN_ASKED = "trap 'echo saved; exit 75' TERM; echo running; while :; do sleep 0.1; done"
SECRETS = {
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef",
    "DATABASE_PASSWORD": "correct-horse-battery-staple",
}


def finish(process):
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def without_keys(value):
    """A request body without the ssh key, which changes each time."""
    if isinstance(value, dict):
        return {name: without_keys(item) for name, item in value.items() if name != "ssh-keys"}
    return [without_keys(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def submissions(make_cloud):
    """A cloud and a process for each target, started together because gcloud is slow."""
    tpu = make_cloud()
    tpu.runs(f"echo step 1; echo $WANDB_API_KEY {SECRETS['DATABASE_PASSWORD']}; exit 0")
    vertex = make_cloud()
    vertex.logs = ["step 1", f"the key is {SECRETS['WANDB_API_KEY']}"]
    vertex.job_states = [
        ("JOB_STATE_PENDING", None),
        ("JOB_STATE_RUNNING", None),
        ("JOB_STATE_SUCCEEDED", None),
    ]
    service_account = "--service_account=trainer@p.iam.gserviceaccount.com"
    gpu = make_cloud()
    gpu.states = ["RUNNING"]
    gpu.runs("echo trained", "echo trained")
    return {
        "vertex": (vertex, vertex.submit(*VERTEX, "--hosts=3", service_account, **SECRETS)),
        "tpu-vm": (tpu, tpu.submit(*TPU, **SECRETS)),
        "gpu-vm": (
            gpu,
            gpu.submit(*GPU, "--hosts=2", "--max_hours=2", "--network=n", **SECRETS),
        ),
    }


def test_tpu_vm_from_creation_to_deletion(submissions):
    cloud, process = submissions["tpu-vm"]
    status, output, errors = finish(process)
    assert status == 0, errors
    assert output.splitlines() == ["step 1", f"{HIDDEN} {HIDDEN}"]

    (create,) = cloud.requested("POST", "queuedResources$")
    name = create.query.partition("queuedResourceId=")[2]
    assert name.startswith("trainer-digits-cnn-")
    assert create.path == "/v2/projects/p/locations/us-central2-b/queuedResources"
    assert without_keys(create.body) == {
        "queueingPolicy": {"validUntilDuration": "86400s"},
        "spot": {},
        "tpu": {
            "nodeSpec": [
                {
                    "nodeId": name,
                    "parent": "projects/p/locations/us-central2-b",
                    "node": {
                        "acceleratorType": "v4-8",
                        "runtimeVersion": "tpu-ubuntu2204-base",
                        "labels": {"made-by": "trainer"},
                        "metadata": {},
                        "networkConfig": {"enableExternalIps": True, "network": "default"},
                        "serviceAccount": {},
                    },
                }
            ]
        },
    }
    assert cloud.requested("GET", f"queuedResources/{name}$")
    (delete,) = cloud.requested("DELETE", "")
    assert delete.path == f"/v2/projects/p/locations/us-central2-b/queuedResources/{name}"
    assert "force=True" in delete.query

    (job,) = cloud.started()
    assert job.split() == [
        str(cloud.folder / "machines" / "192.0.2.0" / name),
        "train",
        "--config=configs/digits_cnn.py",
        "--config.model.units=64,64",
        "--workdir=gs://b/run",
        "--strategy=tpu",
        "--tpu=local",
    ]
    assert cloud.created == {}
    assert cloud.machines() == list((cloud.folder / "tmp").iterdir()) == []
    assert "results: gs://b/run" in errors
    assert_no_secret(output, errors)


def assert_no_secret(*texts):
    from_file = "ya29.planted-access-token-of-a-test"
    for text in texts:
        for secret in (*SECRETS.values(), from_file):
            assert secret not in text


def test_exhausted_quota_is_one_line(cloud):
    cloud.refusal = QUOTA
    status, output, errors = finish(cloud.submit(*TPU))
    assert status == 2
    assert output == ""
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert "Quota limit 'TPUV4sPreemptiblePerProjectPerZone'" in line
    assert (
        "request more quota, or choose another zone or accelerator. Command: gcloud compute" in line
    )
    assert cloud.started() == list((cloud.folder / "tmp").iterdir()) == []


@pytest.mark.slow
def test_preempted_tpu_is_requested_again(cloud, until):
    cloud.runs("echo first; sleep 100", "echo second")
    process = cloud.submit(*TPU)
    until(lambda: len(cloud.started()) == 1)
    cloud.states[:] = ["SUSPENDED"]
    subprocess.run(["pkill", "-f", f"tail -n .*{cloud.folder}|sleep 100"], check=False)
    (pid,) = (cloud.folder / "machines").rglob("job.pid")
    subprocess.run(["pkill", "-KILL", "-P", pid.read_text().strip()], check=False)
    until(lambda: cloud.requested("DELETE", ""))
    cloud.states[:] = ["ACTIVE"]
    status, output, errors = finish(process)
    assert status == 0, errors
    assert output.splitlines()[-1] == "second"
    assert "preempted; restarting (1 of 3)" in errors
    assert [len(cloud.requested(method, "queuedResources")) for method in ("POST", "DELETE")] == [
        2,
        2,
    ]
    first, second = cloud.requested("POST", "queuedResources$")
    assert (first.path, first.query) == (second.path, second.query)
    assert without_keys(first.body) == without_keys(second.body)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_saves_deletes_and_exits_with_75(cloud, until, number):
    cloud.runs(SAVES_WHEN_ASKED)
    process = cloud.submit(*TPU)
    until(cloud.started)
    process.send_signal(number)
    status, output, errors = finish(process)
    assert status == 75, errors
    assert output.splitlines() == ["running", "saved"]
    assert errors.splitlines()[-1] == "stopped; run the same command to resume"
    assert len(cloud.requested("DELETE", "queuedResources")) == 1
    assert cloud.created == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("exits", "status", "message"),
    [(2, 2, "refused its input"), (1, 1, "failed; see its output above")],
)
def test_submission_exits_with_the_status_of_the_job(cloud, exits, status, message):
    cloud.runs(f"echo why >&2; exit {exits}")
    ended, output, errors = finish(cloud.submit(*TPU))
    assert ended == status
    assert output == "why\n"
    assert message in errors
    assert cloud.created == {}


def changing_requests(cloud):
    """The requests that change something, without the parts that differ between runs."""
    changes = [r for r in cloud.requests if r.method in ("POST", "DELETE")]
    ignored = (
        "getGuestAttributes",
        "entries:list",
        "setCommonInstanceMetadata",
        "/upload/",
        "/wait",
    )
    return [
        (r.method, r.path, r.query, without_keys(r.body))
        for r in changes
        if not any(text in r.path for text in ignored)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["tpu-vm", "gpu-vm", "vertex"])
def test_script_of_dry_run_sends_the_same_requests(cloud, target):
    arguments = {"tpu-vm": TPU, "gpu-vm": (*GPU, "--hosts=2"), "vertex": VERTEX}[target]

    def reset():
        cloud.requests.clear()
        cloud.metadata = {"items": []}
        cloud.states[:] = ["ACTIVE"] if target == "tpu-vm" else ["RUNNING"]
        cloud.job_states[:] = [("JOB_STATE_RUNNING", None)] * 3 + [("JOB_STATE_SUCCEEDED", None)]
        (cloud.folder / "number").write_text("0")
        (cloud.folder / "started").write_text("")

    cloud.runs("echo trained", "echo trained")
    cloud.logs = ["trained"]
    reset()
    status, output, errors = finish(cloud.submit(*arguments))
    assert status == 0, errors
    of_the_run, jobs = changing_requests(cloud), sorted(cloud.started())

    reset()
    status, text, errors = finish(cloud.submit(*arguments, "--dry_run"))
    assert status == 0, errors
    assert cloud.requests == []
    pasted = subprocess.run(
        ["sh"],
        input=text,
        env=cloud.environment,
        cwd=cloud.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert pasted.returncode == 0, pasted.stderr
    assert pasted.stdout.count("trained") == output.count("trained") > 0
    assert changing_requests(cloud) == of_the_run
    assert sorted(cloud.started()) == jobs
    assert cloud.created == {} or target == "vertex"


def test_vertex_job_from_configuration_to_log(submissions):
    cloud, process = submissions["vertex"]
    status, output, errors = finish(process)
    assert status == 0, errors
    first, second = output.splitlines()
    assert first.endswith("workerpool0-0\tstep 1")
    assert second.endswith(f"the key is {HIDDEN}")
    assert_no_secret(output, errors)

    (create,) = cloud.requested("POST", "customJobs$")
    assert create.path == "/v1/projects/p/locations/us-central1/customJobs"
    name = create.body["displayName"]
    pool = {
        "machineSpec": {
            "machineType": "n1-standard-16",
            "acceleratorType": "NVIDIA_TESLA_T4",
            "acceleratorCount": 2,
        },
        "containerSpec": {
            "imageUri": IMAGE,
            "args": [
                "train",
                f"--config=/gcs/b/trainer-staging/{name}/configs/digits_cnn.py",
                "--config.model.units=64,64",
                "--workdir=gs://b/run",
                "--strategy=multi_worker",
            ],
        },
    }
    assert create.body == {
        "displayName": name,
        "labels": {"made-by": "trainer"},
        "jobSpec": {
            "scheduling": {"timeout": "86400s", "strategy": "SPOT"},
            "serviceAccount": "trainer@p.iam.gserviceaccount.com",
            "workerPoolSpecs": [{**pool, "replicaCount": "1"}, {**pool, "replicaCount": "2"}],
        },
    }
    (log, *_) = cloud.requested("POST", "entries:list")
    assert log.body["resourceNames"] == ["projects/p"]
    assert 'resource.labels.job_id="7"' in log.body["filter"]
    # The configuration is uploaded for the job and deleted afterwards.
    (upload,) = cloud.requested("POST", "/upload/")
    assert f"trainer-staging/{name}/configs/digits_cnn.py" in upload.body["content"]
    assert cloud.objects == {}


@pytest.mark.slow
def test_preempted_vertex_job_restarts(cloud):
    message = "The replica workerpool0-0 exited with a non-zero status of 75. To find out more …"
    cloud.job_states = [("JOB_STATE_FAILED", message)] * 3 + [("JOB_STATE_SUCCEEDED", None)]
    status, _, errors = finish(cloud.submit(*VERTEX))
    assert status == 0, errors
    assert "preempted; restarting (1 of 3)" in errors
    assert len(cloud.requested("POST", "customJobs$")) == 2


@pytest.mark.slow
def test_exhausted_quota_of_vertex_is_one_line(cloud):
    cloud.refusal = QUOTA
    status, _, errors = finish(cloud.submit(*VERTEX))
    assert status == 2
    assert "request more quota" in errors.splitlines()[-1]
    assert cloud.objects == {}


@pytest.mark.slow
def test_ctrl_c_cancels_the_vertex_job(cloud, until):
    cloud.job_states = [("JOB_STATE_RUNNING", None)]
    process = cloud.submit(*VERTEX)
    until(lambda: cloud.requested("POST", "entries:list"))
    process.send_signal(signal.SIGINT)
    status, _, errors = finish(process)
    assert status == 75, errors
    (cancel,) = cloud.requested("POST", ":cancel$")
    assert cancel.path == "/v1/projects/1/locations/us-central1/customJobs/7:cancel"
    assert cloud.objects == {}


def test_gpu_vms_train_together(submissions):
    cloud, process = submissions["gpu-vm"]
    status, output, errors = finish(process)
    assert status == 0, errors
    assert output.splitlines() == ["trained", "trained"]
    assert_no_secret(output, errors)

    first, second = cloud.requested("POST", "/instances$")
    base = first.body["machineType"].partition("projects/")[0]
    zone = f"{base}projects/p/zones/us-central1-a"
    name = first.body["name"].removesuffix("-0")
    family = "common-cu129-ubuntu-2204-nvidia-580"
    assert first.body == {
        "name": f"{name}-0",
        "machineType": f"{zone}/machineTypes/g2-standard-8",
        "guestAccelerators": [
            {"acceleratorCount": 1, "acceleratorType": f"{zone}/acceleratorTypes/nvidia-l4"}
        ],
        "scheduling": {
            "automaticRestart": False,
            "instanceTerminationAction": "DELETE",
            "maxRunDuration": {"seconds": "7200"},
            "onHostMaintenance": "TERMINATE",
            "preemptible": True,
            "provisioningModel": "SPOT",
        },
        "disks": [
            {
                "autoDelete": True,
                "boot": True,
                "initializeParams": {
                    "diskSizeGb": "200",
                    "sourceImage": f"{base}projects/deeplearning-platform-release/global/"
                    f"images/family/{family}",
                },
                "mode": "READ_WRITE",
                "type": "PERSISTENT",
            }
        ],
        "networkInterfaces": [
            {
                "accessConfigs": [{"name": "external-nat", "type": "ONE_TO_ONE_NAT"}],
                "network": f"{base}projects/p/global/networks/n",
            }
        ],
        "serviceAccounts": [
            {"email": "default", "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}
        ],
        "labels": {"made-by": "trainer"},
        "metadata": {},
        "canIpForward": False,
        "deletionProtection": False,
    }
    assert second.body == {**first.body, "name": f"{name}-1"}
    deleted = sorted(request.path.rpartition("/")[2] for request in cloud.requested("DELETE", ""))
    assert deleted == [f"{name}-0", f"{name}-1"]

    cluster = f'{{"cluster": {{"worker": ["{name}-0:2222", "{name}-1:2222"]}}, "task": '
    for index, job in enumerate(sorted(cloud.started())):
        assert f"/machines/192.0.2.{index}/{name} " in job
        assert f'{cluster}{{"type": "worker", "index": {index}}}}} ' in job
        assert job.endswith("--workdir=gs://b/run --strategy=multi_worker")


@pytest.mark.slow
def test_existing_machine_is_kept_and_the_new_one_deleted(cloud):
    cloud.states = ["RUNNING"]
    cloud.runs("echo trained")
    status, _, errors = finish(cloud.submit(*GPU, "--keep"))
    assert status == 0, errors
    (kept,) = cloud.created
    status, _, errors = finish(cloud.submit(*GPU, "--hosts=2"))
    assert status == 2
    assert errors.splitlines()[-1].startswith("error: this job is already running, or was kept")
    assert len(cloud.requested("POST", "/instances$")) == 3
    assert [*cloud.created] == [kept]
    assert len(cloud.started()) == 1


@pytest.mark.slow
def test_preempted_gpu_vm_is_created_again(cloud, until):
    cloud.states = ["RUNNING"]
    cloud.runs("sleep 1; exit 137", "echo trained")
    process = cloud.submit(*GPU)
    until(cloud.started)
    cloud.states[:] = ["TERMINATED"]
    until(lambda: cloud.requested("DELETE", ""))
    cloud.states[:] = ["RUNNING"]
    status, output, errors = finish(process)
    assert status == 0, errors
    assert output == "trained\n"
    assert len(cloud.requested("POST", "/instances$")) == 2


@pytest.mark.slow
def test_image_on_a_gpu_vm(cloud):
    docker = '#!/bin/sh\necho "docker $*" >> "$CLOUD/started"\n'
    for name in ("docker", "gcloud"):
        path = cloud.folder / "machine" / name
        path.write_text(docker.replace("docker $*", f"{name} $*"))
        path.chmod(0o755)
    cloud.states = ["RUNNING"]
    status, _, errors = finish(cloud.submit(*GPU, f"--image={IMAGE}"))
    assert status == 0, errors
    login, pull, run = cloud.started()
    assert login == "gcloud auth configure-docker us-docker.pkg.dev --quiet"
    assert pull == f"docker pull --quiet {IMAGE}"
    name = cloud.requested("POST", "/instances$")[0].body["name"].removesuffix("-0")
    assert shlex.split(run) == [
        *("docker", "run", "--rm", f"--name={name}", "--user=0:0", "--network=host"),
        f"--volume={cloud.folder}/machines/192.0.2.0/{name}:/job:ro",
        *("--workdir=/job", "--gpus=all", IMAGE, "train", "--config=configs/digits_cnn.py"),
        *("--config.model.units=64,64", "--workdir=gs://b/run", "--strategy=gpu"),
    ]
