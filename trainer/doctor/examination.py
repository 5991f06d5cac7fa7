"""Everything the doctor looks at, in order."""

import os
from concurrent.futures import ThreadPoolExecutor

from trainer.doctor import directories, hosts, packages, programs, tensorflow_process
from trainer.doctor.finding import Finding
from trainer.engine.distribution_config import DistributionConfig


def examine_quickly(workdir: str, data_dir: str) -> list[Finding]:
    """What neither TensorFlow nor another program is needed for; leaves accelerators alone.

    Args:
      workdir: where a run would be kept; empty: only the disk of the current folder.
      data_dir: where data lie; empty: TFDS_DATA_DIR, or nowhere.
    """
    findings = [packages.check_python(), *packages.check_packages(), hosts.check_hosts()]
    findings.append(directories.check_temporary())
    if not workdir:
        findings.append(directories.check_disk("."))
    elif not directories.is_remote(workdir):
        findings += directories.check_workdir(workdir)
    where = data_dir or os.environ.get("TFDS_DATA_DIR", "")
    if where and not directories.is_remote(where):
        findings.append(directories.check_data_dir(where, is_asked_for=bool(data_dir)))
    return findings


def examine(config: DistributionConfig, workdir: str, data_dir: str) -> list[Finding]:
    """All of it, the slow parts side by side.

    Args:
      config: where a run would compute.
      workdir: where a run would be kept; empty is nowhere.
      data_dir: where data lie; empty: TFDS_DATA_DIR, or nowhere.
    """
    with ThreadPoolExecutor() as pool:
        where = data_dir or os.environ.get("TFDS_DATA_DIR", "")
        tensorflow = pool.submit(tensorflow_process.examine, config, workdir, where)
        gcloud, docker = pool.submit(programs.check_gcloud), pool.submit(programs.check_docker)
        return [
            *examine_quickly(workdir, data_dir),
            *tensorflow.result(),
            gcloud.result(),
            docker.result(),
        ]
