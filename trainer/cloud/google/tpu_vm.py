"""`--target=tpu-vm`: a queued resource, and the job on its machines over ssh."""

from collections.abc import Sequence

from trainer.cloud.google import accelerators, gcloud, virtual_machine
from trainer.cloud.job import Job
from trainer.cloud.plan import Command, End, Plan, Wait
from trainer.cloud.settings import Settings
from trainer.errors import UserError

_LOST = ("FAILED", "SUSPENDING", "SUSPENDED", "DELETING")


def plan(job: Job, settings: Settings, folder: str, max_hours: float) -> Plan:
    """A TPU slice.

    TensorFlow drives a whole slice from one process: every host of a pod gets the files, the
    job runs on the first, and reaches the others through the server that runs there.

    Args:
      job: its workdir is gs://….
      settings: project, zone, accelerator, ….
      folder: where a tar file may be put on this machine.
      max_hours: a request that still waits then is void, whatever becomes of this machine.

    Raises:
      UserError: if the tables do not have the accelerator or the runtime version, or it has
        several hosts and the job is a search.
    """
    tpu = accelerators.tpu(settings.accelerator, settings.runtime_version)
    place = gcloud.in_zone(settings)
    is_pod = tpu.hosts > 1
    if is_pod and job.command == "tune":
        raise UserError(
            "the hosts of a TPU pod compute together, so a search needs a TPU of one host. "
            f"Received: {settings.accelerator}"
        )
    placement = ("--strategy=tpu", f"--tpu={job.name if is_pod else 'local'}")
    # On a pod the server has the TPU, not the job's own process.
    environment = ("TPU_LOAD_LIBRARY=0",) if is_pod else ()
    tar = virtual_machine.archive_path(folder, job.name)
    if settings.image:
        stage = virtual_machine.pull(settings.image)
        command = virtual_machine.image_command(
            job, settings.image, ("--privileged",), placement, environment
        )
    else:
        stage = virtual_machine.install(job.name, "tpu")
        command = virtual_machine.code_command(job, placement, environment)

    def ssh(worker: str, text: str) -> Command:
        flags = (f"--worker={worker}", *virtual_machine.SSH_FLAGS, f"--command={text}")
        return gcloud.command("compute tpus tpu-vm ssh", job.name, *place, *flags)

    remote = f"{job.name}:{job.name}.tar.gz"
    scp = gcloud.command("compute tpus tpu-vm scp", tar, remote, *place, "--worker=all")
    describe = gcloud.command(
        "compute tpus queued-resources describe",
        job.name,
        *place,
        "--format=value(state.state,state.failedData.error.message)",
    )
    return Plan(
        name=job.name,
        prepare=(virtual_machine.archive(job, tar, with_code=not settings.image),),
        make=gcloud.command(
            "compute tpus queued-resources create",
            job.name,
            *place,
            f"--node-id={job.name}",
            f"--accelerator-type={tpu.accelerator_type}",
            f"--runtime-version={tpu.runtime_version}",
            f"--valid-until-duration={round(max_hours * 3600)}s",
            "--labels=made-by=trainer",
            *(["--spot"] if settings.spot else []),
            *gcloud.given("network", settings.network),
            *gcloud.given("service-account", settings.service_account),
        ),
        has_identifier=False,
        ready=Wait(describe, done=("ACTIVE",), failed=_LOST),
        stage=(
            (scp,),
            (ssh("all", f"{virtual_machine.unpack(job.name)} &&\n{stage}"),),
        ),
        job=(ssh("0", virtual_machine.run(job.name, command)),),
        end=None,
        state=describe,
        judge=_judge,
        stop=(ssh("0", virtual_machine.stop(job.name, settings.image)),),
        clear=(Command(("rm", "-f", tar)),),
        delete=(
            gcloud.command("compute tpus queued-resources delete", job.name, *place, "--force"),
        ),
        results=job.workdir,
    )


def _judge(statuses: Sequence[int], state: str) -> End:
    return virtual_machine.judge(statuses, healthy=state.split()[:1] == ["ACTIVE"])
