import dataclasses
import json
import os
import re
import shlex
import shutil
import subprocess

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.cloud import kubernetes
from trainer.cloud.job import Job
from trainer.cloud.kubernetes import KubernetesSettings, manifest
from trainer.errors import UserError

JOB = Job(
    command="train",
    task="supervised",
    files=(("config", "configs/digits_cnn.py"),),
    arguments=("--config.seed=1",),
    workdir="gs://b/run",
    strategy_given=False,
    name="trainer-digits-cnn-0123abcd",
)
FILES = {"configs/digits_cnn.py": "a = 1\n", "configs/tune/digits.py": "b = 2\n"}
SETTINGS = KubernetesSettings(image="i:1", spot=False)
TUNE = dataclasses.replace(
    JOB, command="tune", files=(*JOB.files, ("search", "configs/tune/digits.py"))
)
AGENT = dataclasses.replace(JOB, task="rl")
EVERYTHING = {
    "namespace": "team-a",
    "queue": "user-queue",
    "accelerator": "nvidia-l4:2",
    "hosts": 3,
    "cpu": "8",
    "memory": "32Gi",
    "spot": True,
    "service_account": "trainer",
}
CASES = {
    "cpu": (JOB, {}),
    "tune": (TUNE, {"hosts": 2}),
    "everything": (JOB, EVERYTHING),
    "tpu": (JOB, {"accelerator": "v5litepod-8", "spot": True}),
}


def write(job, max_hours=24.0, max_restarts=3, files=FILES, **changes):
    chosen = dataclasses.replace(SETTINGS, **changes)
    return manifest(job, chosen, files, max_hours=max_hours, max_restarts=max_restarts)


def documents(job=JOB, **changes):
    """The documents by kind."""
    found = {one["kind"]: one for one in yaml.safe_load_all(write(job, **changes))}
    return [found.get(kind) for kind in ("ConfigMap", "Service", "Job")]


def pod(job=JOB, **changes):
    return documents(job, **changes)[2]["spec"]["template"]["spec"]


def container(job=JOB, **changes):
    (only,) = pod(job, **changes)["containers"]
    return only


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program}")


@needs("kubernetes-validate")
@pytest.mark.parametrize("case", CASES)
def test_the_schema_of_kubernetes_admits_the_manifest(case, tmp_path):
    job, changes = CASES[case]
    (tmp_path / "manifest.yaml").write_text(write(job, **changes))
    argv = ["kubernetes-validate", "--strict", "manifest.yaml"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    count = len(list(yaml.safe_load_all(write(job, **changes))))
    assert len(re.findall("passed", done.stdout)) == count, done.stdout


@needs("kubectl")
@pytest.mark.parametrize("case", CASES)
def test_kubectl_reads_every_field(case, tmp_path):
    """kubectl drops what its types do not have."""
    job, changes = CASES[case]
    for number, document in enumerate(yaml.safe_load_all(write(job, **changes))):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(document))
        argv = ["kubectl", "label", "--local", f"--filename={number}.yaml", "--output=json", "a=b"]
        done = subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, text=True)
        read = json.loads(done.stdout)
        assert read["metadata"]["labels"].pop("a") == "b"
        assert contains(read, document)


def contains(value, part):
    """Whether all of `part` is in `value`."""
    if isinstance(part, dict):
        return all(key in value and contains(value[key], item) for key, item in part.items())
    if isinstance(part, list):
        return len(value) == len(part) and all(map(contains, value, part))
    return value == part


def test_one_pod_per_host_with_an_index():
    _, service, job = documents(hosts=3)
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == 3
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert service["spec"]["clusterIP"] == "None"
    # Names of pods are NAME-INDEX.SUBDOMAIN, and the subdomain is the service that selects them.
    assert spec["template"]["spec"]["subdomain"] == service["metadata"]["name"] == JOB.name
    labels = spec["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    _, service, job = documents(hosts=1)
    assert service is None
    assert "subdomain" not in job["spec"]["template"]["spec"]


def test_failures():
    spec = documents(hosts=2, max_hours=1.5, max_restarts=4)[2]["spec"]
    refused, interrupted, disrupted = spec["podFailurePolicy"]["rules"]
    assert refused == {
        "action": "FailJob",
        "onExitCodes": {"containerName": "trainer", "operator": "In", "values": [2]},
    }
    assert interrupted["action"] == disrupted["action"] == "Ignore"
    assert interrupted["onExitCodes"]["values"] == [75]
    assert disrupted["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["backoffLimit"] == 8
    assert spec["activeDeadlineSeconds"] == 5400
    assert spec["ttlSecondsAfterFinished"] == 86400
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 120


def test_everything_has_labels_and_the_namespace():
    for document in documents(**EVERYTHING):
        metadata = document["metadata"]
        assert metadata["name"] == JOB.name
        assert metadata["namespace"] == "team-a"
        assert metadata["labels"]["made-by"] == "trainer"


def test_queue():
    job = documents(queue="user-queue")[2]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "user-queue"
    assert job["spec"]["suspend"] is True
    job = documents()[2]
    assert "kueue.x-k8s.io/queue-name" not in job["metadata"]["labels"]
    assert "suspend" not in job["spec"]


@pytest.mark.parametrize(
    ("accelerator", "labels", "limits", "flags"),
    [
        ("", {}, {}, ["--strategy=cpu"]),
        (
            "nvidia-l4",
            {"cloud.google.com/gke-accelerator": "nvidia-l4"},
            {"nvidia.com/gpu": 1},
            ["--strategy=gpu"],
        ),
        (
            "nvidia-tesla-t4:4",
            {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"},
            {"nvidia.com/gpu": 4},
            ["--strategy=mirrored"],
        ),
        (
            "v5litepod-8",
            {
                "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
                "cloud.google.com/gke-tpu-topology": "2x4",
            },
            {"google.com/tpu": 8},
            ["--strategy=tpu", "--tpu=local"],
        ),
        (
            "v4-8",
            {
                "cloud.google.com/gke-tpu-accelerator": "tpu-v4-podslice",
                "cloud.google.com/gke-tpu-topology": "2x2x1",
            },
            {"google.com/tpu": 4},
            ["--strategy=tpu", "--tpu=local"],
        ),
    ],
)
def test_accelerators(accelerator, labels, limits, flags):
    found = pod(accelerator=accelerator)
    (only,) = found["containers"]
    assert found.get("nodeSelector", {}) == labels
    assert only.get("resources", {}).get("limits", {}) == limits
    config = "--config=/job/configs/digits_cnn.py"
    assert only["args"] == ["train", config, "--config.seed=1", "--workdir=gs://b/run", *flags]
    spot = pod(accelerator=accelerator, spot=True)
    assert spot["nodeSelector"] == {**labels, "cloud.google.com/gke-spot": "true"}
    assert spot["tolerations"][0]["key"] == "cloud.google.com/gke-spot"


@pytest.mark.parametrize(
    ("job", "changes", "flag"),
    [
        (JOB, {"hosts": 2}, "--strategy=multi_worker"),
        (JOB, {"hosts": 2, "accelerator": "nvidia-l4"}, "--strategy=multi_worker"),
        (TUNE, {"hosts": 2}, "--strategy=cpu"),
        (TUNE, {"hosts": 2, "accelerator": "nvidia-l4:2"}, "--strategy=gpu"),
        (AGENT, {}, "--strategy=cpu"),
    ],
)
def test_strategy_of_hosts_searches_and_agents(job, changes, flag):
    assert container(job, **changes)["args"][-1] == flag


def test_the_strategy_of_the_user_wins():
    job = dataclasses.replace(JOB, arguments=("--strategy=mirrored",), strategy_given=True)
    args = container(job, accelerator="nvidia-l4")["args"]
    assert [word for word in args if "strategy" in word] == ["--strategy=mirrored"]


def test_rights():
    for accelerator, user in (("", 10001), ("nvidia-l4", 10001), ("v6e-1", 0)):
        found = pod(accelerator=accelerator)
        (only,) = found["containers"]
        assert found["securityContext"]["runAsUser"] == user
        assert only["securityContext"]["allowPrivilegeEscalation"] is False
        assert only["securityContext"]["capabilities"]["drop"] == ["ALL"]
        assert found["automountServiceAccountToken"] is False
        assert "privileged" not in json.dumps(found)
    assert pod(service_account="trainer")["serviceAccountName"] == "trainer"


def test_files_have_their_paths_in_the_pod():
    config_map, _, job = documents(TUNE)
    spec = job["spec"]["template"]["spec"]
    volume, memory = spec["volumes"]
    mounts = {one["name"]: one["mountPath"] for one in spec["containers"][0]["volumeMounts"]}
    paths = {
        os.path.join(mounts[volume["name"]], item["path"]): config_map["data"][item["key"]]
        for item in volume["configMap"]["items"]
    }
    assert volume["configMap"]["name"] == config_map["metadata"]["name"]
    assert paths == {
        "/job/configs/digits_cnn.py": "a = 1\n",
        "/job/configs/tune/digits.py": "b = 2\n",
    }
    args = spec["containers"][0]["args"]
    assert {word.partition("=")[2] for word in args if ".py" in word} == set(paths)
    assert mounts[memory["name"]] == "/dev/shm"
    assert memory["emptyDir"] == {"medium": "Memory"}


def test_requests():
    assert "resources" not in container()
    both = container(cpu="8", memory="32Gi")["resources"]
    assert both == {"requests": {"cpu": "8", "memory": "32Gi"}}
    assert container(cpu="500m")["resources"] == {"requests": {"cpu": "500m"}}


@pytest.mark.parametrize(
    ("job", "changes", "message"),
    [
        (JOB, {"accelerator": "v5litepod-16"}, "TPU slice with one host, v3-8 | .*Received: 'v5"),
        (JOB, {"accelerator": "v6e-8", "hosts": 2}, "one host here: .*Received: hosts=2"),
        (AGENT, {"accelerator": "v6e-8"}, "agents do not run on TPUs.*Received: 'v6e-8'"),
        (AGENT, {"hosts": 2}, "agents train on one host.*Received: hosts=2"),
        (JOB, {"accelerator": "nvidia-l5"}, "known GPUs: .*nvidia-l4"),
        (JOB, {"accelerator": "nvidia-l4:3"}, "1 or 2 or 4 or 8 GPUs"),
        (JOB, {"accelerator": "L4"}, "accelerator must be a GPU.*Received: 'L4'"),
        (JOB, {"namespace": "Team"}, "namespace must be.*Received: 'Team'"),
        (JOB, {"queue": "a/b"}, "queue must be.*Received: 'a/b'"),
        (JOB, {"memory": "32GB"}, "memory must be.*Received: '32GB'"),
        (JOB, {"cpu": "eight"}, "cpu must be.*Received: 'eight'"),
        (JOB, {"bucket": "gs://b"}, "bucket must be"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(job, changes, message):
    with pytest.raises(UserError, match=message) as raised:
        write(job, **changes)
    assert "\n" not in str(raised.value)


def test_files_over_one_mebibyte_are_refused():
    room = 1024 * 1024 - len("config")
    path = "configs/digits_cnn.py"
    assert documents(files={path: "é" * (room // 2)})[0]["data"]["config"] == "é" * (room // 2)
    with pytest.raises(UserError, match=f"configs/digits_cnn.py.*Received: {2**20 + 1} bytes"):
        write(JOB, files={path: "a" * (room + 1)})
    with pytest.raises(UserError):
        write(JOB, files={path: "é" * (room // 2 + 1)})


def expanded(word):
    """What the kubelet makes of a word without variables that exist."""
    return re.sub(r"\$(\$|\(\w+\))", lambda found: "$" if found[1] == "$" else "EXPANDED", word)


def run_container(tmp_path, job, index, **changes):
    """Runs the container's command; returns TF_CONFIG and the arguments of trainer."""
    program = tmp_path / "trainer"
    program.write_text('#!/bin/sh\nprintf "%s\\0" "$TF_CONFIG" "$@"\n')
    program.chmod(0o755)
    only = container(job, **changes)
    argv = [expanded(word) for word in (*only["command"], *only["args"])]
    environment = {
        **{one["name"]: one["value"] for one in only["env"]},
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "JOB_COMPLETION_INDEX": str(index),
    }
    done = subprocess.run(argv, env=environment, check=True, capture_output=True)
    tf_config, *arguments = done.stdout.decode().split("\0")[:-1]
    return tf_config, arguments


@pytest.mark.parametrize("index", [0, 2, 11])
def test_tf_config_of_each_pod(index, tmp_path):
    tf_config, arguments = run_container(tmp_path, JOB, index, hosts=12)
    parsed = json.loads(tf_config)
    assert parsed["task"] == {"type": "worker", "index": index}
    workers = parsed["cluster"]["worker"]
    assert len(workers) == 12
    assert workers[index] == f"{JOB.name}-{index}.{JOB.name}:2222"
    assert arguments == container(hosts=12)["args"]


@pytest.mark.parametrize("changes", [{}, {"accelerator": "v6e-1"}])
def test_one_host_has_no_tf_config(changes, tmp_path):
    tf_config, arguments = run_container(tmp_path, JOB, 0, **changes)
    assert tf_config == ""
    assert arguments == container(**changes)["args"]


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.text(
    "a $()\"'\\`,;&|\n\té😀*~#!{}"
)


@settings(max_examples=60, deadline=None)
@given(arguments=st.lists(WORDS), hosts=st.integers(1, 2), tpu=st.booleans())
def test_arguments_arrive_unchanged(arguments, hosts, tpu, tmp_path_factory):
    job = dataclasses.replace(JOB, arguments=("$(HOME)", "$$(HOME)", *arguments))
    changes = {"accelerator": "v6e-1"} if tpu else {"hosts": hosts}
    folder = tmp_path_factory.mktemp("bin")
    _, found = run_container(folder, job, 0, **changes)
    flags = ("--strategy=tpu", "--tpu=local") if tpu else (found[-1],)
    assert tuple(found) == job.argv("/job", flags)


def test_commands_name_context_and_namespace():
    chosen = dataclasses.replace(SETTINGS, context="c", namespace="team-a", hosts=9)
    start = ("kubectl", "--context=c", "--namespace=team-a")
    assert kubernetes.apply_command(chosen) == (*start, "apply", "--server-side", "--filename=-")
    selector = f"--selector=made-by=trainer,app.kubernetes.io/instance={JOB.name}"
    for command in (kubernetes.log_command, kubernetes.delete_command):
        argv = command(JOB, chosen)
        assert argv[:3] == start
        assert selector in argv
    for command in (kubernetes.state_command, kubernetes.stop_command):
        assert command(JOB, chosen)[:3] == start
        assert JOB.name in command(JOB, chosen)
    assert "--max-log-requests=9" in kubernetes.log_command(JOB, chosen)
    assert kubernetes.apply_command(SETTINGS)[:2] == ("kubectl", "--namespace=default")
    assert shlex.join(kubernetes.stop_command(JOB, SETTINGS)).endswith(
        '\'--patch={"spec":{"suspend":true}}\''
    )
