"""What the states of the services mean."""

import json

import pytest

from trainer.cloud.google import gpu_vm, tpu_vm, vertex
from trainer.cloud.google.settings import GPUSettings, TPUSettings, VertexSettings
from trainer.cloud.records import Attempt
from trainer.cloud.target import Health

ATTEMPT = Attempt(1, "n-1", "z", ("n-1",), 0.0, 3600.0, 3600.0, 0, "")
TWO = Attempt(1, "n-1", "z", ("n-1-0", "n-1-1"), 0.0, 3600.0, 3600.0, 0, "")
GPU = GPUSettings(zone="z-a", accelerator="nvidia-l4")
TPU = TPUSettings(zone="z-a", accelerator="v6e-1")
VERTEX = VertexSettings(region="r", accelerator="nvidia-l4", image="i")


def instances(*states):
    return json.dumps([{"name": f"n-{n}", "status": state} for n, state in enumerate(states)])


@pytest.mark.parametrize(
    ("states", "hosts", "health"),
    [
        (["RUNNING"], 1, Health.RUNNING),
        (["PROVISIONING"], 1, Health.PENDING),
        (["STAGING", "RUNNING"], 2, Health.PENDING),
        (["REPAIRING"], 1, Health.PENDING),
        (["RUNNING"], 2, Health.LOST),
        (["RUNNING", "STOPPING"], 2, Health.LOST),
        (["TERMINATED"], 1, Health.LOST),
        ([], 1, Health.GONE),
    ],
)
def test_states_of_gpu_vms(states, hosts, health):
    settings = GPUSettings(zone="z-a", accelerator="nvidia-l4", hosts=hosts)
    machines = gpu_vm.machines("supervised", "train", settings)
    assert machines.observe([instances(*states)]).health is health


def test_only_existing_gpu_vms_are_deleted():
    machines = gpu_vm.machines("supervised", "train", GPU)
    (command,) = machines.delete(TWO, [instances("RUNNING")])
    assert "n-0" in command.argv
    assert machines.delete(TWO, ["[]"]) == machines.delete(TWO, [""]) == ()


@pytest.mark.parametrize(
    ("queued", "node", "health"),
    [
        ("WAITING_FOR_RESOURCES\t", "", Health.PENDING),
        ("PROVISIONING\t", "CREATING\t", Health.PENDING),
        ("ACTIVE\t", "READY\tHEALTHY", Health.RUNNING),
        ("ACTIVE\t", "PREEMPTED\t", Health.LOST),
        ("ACTIVE\t", "TERMINATED\t", Health.LOST),
        ("ACTIVE\t", "REPAIRING\t", Health.PENDING),
        ("SUSPENDING\t", "", Health.LOST),
        ("SUSPENDED\t", "", Health.LOST),
        ("", "", Health.GONE),
    ],
)
def test_states_of_tpus(queued, node, health):
    machines = tpu_vm.machines("supervised", "train", TPU)
    assert machines.observe([queued.strip(), node.strip()]).health is health


def test_failed_request_of_a_tpu_names_capacity_or_quota():
    machines = tpu_vm.machines("supervised", "train", TPU)
    stock_out = machines.observe(["FAILED\tThere is no more capacity in the zone z-a", ""])
    assert stock_out.stocked_out
    quota = machines.observe(["FAILED\tQuota limit 'TPUS' has been exceeded. Limit: 0", ""])
    assert "Quota" in quota.refused
    other = machines.observe(["FAILED\tinternal", ""])
    assert (other.stocked_out, other.refused) == (False, "")


def test_waiting_request_of_a_tpu_is_deleted_without_force():
    machines = tpu_vm.machines("supervised", "train", TPU)
    (command,) = machines.delete(ATTEMPT, ["WAITING_FOR_RESOURCES", ""])
    assert "--force" not in command.argv
    (command,) = machines.delete(ATTEMPT, ["ACTIVE", "READY"])
    assert "--force" in command.argv
    assert machines.delete(ATTEMPT, ["", ""]) == ()


def custom_jobs(*rows):
    return [
        json.dumps(
            [
                {"name": f"projects/1/locations/r/customJobs/{n}", "state": f"JOB_STATE_{state}",
                 "error": {"code": 8, "message": message}}
                for n, (state, message) in enumerate(rows)
            ]
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "health"),
    [
        (("QUEUED", ""), Health.PENDING),
        (("PENDING", ""), Health.PENDING),
        (("RUNNING", ""), Health.RUNNING),
        (("CANCELLING", ""), Health.RUNNING),
        (("SUCCEEDED", ""), Health.LOST),
        (("FAILED", ""), Health.LOST),
        (("CANCELLED", ""), Health.LOST),
    ],
)
def test_states_of_vertex_jobs(row, health):
    machines = vertex.machines("supervised", "train", VERTEX)
    observed = machines.observe(custom_jobs(row))
    assert observed.health is health
    assert not observed.stocked_out


def test_vertex_job_without_capacity_is_repeated_elsewhere():
    machines = vertex.machines("supervised", "train", VERTEX)
    message = "Resources are insufficient in region: r. Please try a different region."
    assert machines.observe(custom_jobs(("FAILED", message))).stocked_out


def test_only_active_vertex_jobs_are_cancelled():
    machines = vertex.machines("supervised", "train", VERTEX)
    rows = custom_jobs(("FAILED", ""), ("RUNNING", ""))
    (command,) = machines.delete(ATTEMPT, rows)
    assert command.argv[3:5] == ("cancel", "1")
    assert machines.observe(rows).health is Health.RUNNING
