"""`--target=tpu-vm`: creates a TPU as a queued resource and runs the job over ssh."""

from collections.abc import Sequence

from trainer.cloud.google import accelerators, gcloud, virtual_machine
from trainer.cloud.google.settings import GoogleSettings
from trainer.cloud.job import Job
from trainer.cloud.plan import Command, JobStatus, Plan, Wait
from trainer.cloud.target import Context, Target
from trainer.errors import UserError

_LOST = ("FAILED", "SUSPENDING", "SUSPENDED", "DELETING")


def plan(job: Job, settings: GoogleSettings, context: Context) -> Plan:
    """A TPU slice.

    One TensorFlow process drives the whole slice. Every host of a pod gets the files; the job
    runs on the first and connects to the TensorFlow server on the others. The request expires
    after `max_hours`, even if this machine fails.

    Raises:
      UserError: if the accelerator or the runtime version is unknown, or the job cannot run on
        this TPU.
    """
    if job.task == "rl":
        raise UserError("agents do not run on TPUs: use --target=gpu-vm or --target=vertex")
    if settings.hosts > 1:
        raise UserError(
            "the TPU type determines the number of hosts: remove the setting hosts. "
            f"Received: hosts={settings.hosts}"
        )
    tpu = accelerators.tpu(settings.accelerator, settings.runtime_version)
    place = gcloud.project_and_zone(settings)
    is_pod = tpu.hosts > 1
    if is_pod and job.command == "tune":
        raise UserError(
            "a search needs a TPU with one host, because the hosts of a pod work on one job. "
            f"Received: accelerator={settings.accelerator}"
        )
    strategy_flags = ("--strategy=tpu", f"--tpu={job.name if is_pod else 'local'}")
    # On a pod the TensorFlow server owns the TPU, not the job's process.
    environment = ("TPU_LOAD_LIBRARY=0",) if is_pod else ()
    tar = virtual_machine.archive_path(context.folder, job.name)
    if settings.image:
        stage = virtual_machine.pull(settings.image)
        command = virtual_machine.image_command(
            job, settings.image, ("--privileged",), strategy_flags, environment
        )
    else:
        stage = virtual_machine.install(job.name, "tpu")
        command = virtual_machine.code_command(job, strategy_flags, environment)

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
        create=gcloud.command(
            "compute tpus queued-resources create",
            job.name,
            *place,
            f"--node-id={job.name}",
            f"--accelerator-type={tpu.accelerator_type}",
            f"--runtime-version={tpu.runtime_version}",
            f"--valid-until-duration={round(context.max_hours * 3600)}s",
            "--labels=made-by=trainer",
            *(["--spot"] if settings.spot else []),
            *gcloud.optional_flag("network", settings.network),
            *gcloud.optional_flag("service-account", settings.service_account),
        ),
        prints_identifier=False,
        ready=Wait(describe, done=("ACTIVE",), failed=_LOST),
        stage=(
            (scp,),
            (ssh("all", f"{virtual_machine.unpack(job.name)} &&\n{stage}"),),
        ),
        job=(ssh("0", virtual_machine.run(job.name, command)),),
        completion=None,
        describe=describe,
        classify_exit=_classify_exit,
        stop=(ssh("0", virtual_machine.stop(job.name, settings.image)),),
        cleanup=(Command(("rm", "-f", tar)),),
        delete=(
            gcloud.command("compute tpus queued-resources delete", job.name, *place, "--force"),
        ),
        errors=gcloud.ERRORS,
        results=job.workdir,
    )


TARGET = Target(
    name="tpu-vm",
    program="gcloud",
    settings=GoogleSettings,
    plan=plan,
    required=("accelerator", "zone"),
    bucket_scheme="gs://",
)


def _classify_exit(statuses: Sequence[int], state: str) -> JobStatus:
    return virtual_machine.classify_exit(statuses, healthy=state.split()[:1] == ["ACTIVE"])
