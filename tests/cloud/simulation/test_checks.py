"""What is refused before anything is rented."""

import pytest

from .scenario import SUBMIT


def refused(me, target="gpu-vm", *arguments):
    status, output, errors = me.run(*me.submit(target, *arguments))
    assert (status, output) == (2, []), errors
    assert me.cloud.bills == []
    assert me.cloud.storage.read("run/jobs/current") is None
    return errors[-1]


@pytest.mark.parametrize(
    ("target", "permission", "where"),
    [
        pytest.param("gpu-vm", "storage.objects.create", "on b", marks=pytest.mark.slow),
        ("gpu-vm", "compute.instances.delete", "on p"),
        pytest.param("tpu-vm", "tpu.nodes.delete", "on p", marks=pytest.mark.slow),
    ],
)
def test_missing_right_of_the_job_is_refused(user, target, permission, where):
    me = user(target)
    me.cloud.access[permission] = "NOT_GRANTED"
    error = refused(me, target)
    account = "1-compute@developer.gserviceaccount.com"
    assert f"service account {account} lacks {permission} {where}: grant it" in error
    me.cloud.access[permission] = "UNKNOWN_INFO_DENIED"
    status, _, errors = me.run(*me.submit(target, "--detach"))
    assert status == 0, errors
    assert f"warning: whether {account} has {permission} {where} is not known" in errors


def test_missing_image_is_refused(user):
    me = user("vertex")
    me.cloud.missing_images.add("1")
    assert "there is no image us-docker.pkg.dev/p/r/trainer:1" in refused(me, "vertex")


def test_missing_quota_is_refused_with_what_is_left(user):
    me = user()
    me.cloud.compute.limits["PREEMPTIBLE_NVIDIA_L4_GPUS"] = 2.0
    error = refused(me, "gpu-vm", "--accelerator=nvidia-l4:2")
    assert "PREEMPTIBLE_NVIDIA_L4_GPUS in us-central1 has 1 of 2 left, but the job needs 2" in error


@pytest.mark.slow
@pytest.mark.parametrize("target", SUBMIT)
def test_bucket_that_does_not_exist_is_refused(user, target):
    me = user(target)
    me.cloud.storage.buckets.clear()
    assert "gs://b" in refused(me, target)


def test_expired_login_is_refused_at_the_start(user):
    from .faults import Window

    me = user(windows=(Window(0, 10**6, "401", who="submitter"),))
    status, _, errors = me.run(*me.submit("gpu-vm"))
    assert status == 2
    assert "check the network and the login: gcloud auth login" in errors[-1]
    status, output, errors = me.run("jobs", "list")
    assert (status, output) == (2, []), errors
    assert errors[-1].startswith("error: ")
