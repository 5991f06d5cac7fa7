"""Runs all checks, those that need TensorFlow in a process of their own."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from trainer.compat import tpu
from trainer.doctor import environment, packages, programs
from trainer.doctor.finding import Finding, Level
from trainer.engine.distribution_config import DistributionConfig
from trainer.io.paths import is_remote

_TENSORFLOW_PROGRAM = "trainer.doctor.tensorflow_checks"
_TENSORFLOW_TIMEOUT = 120
# Another run may need the GPU's memory, and requests to an unreachable gs:// are retried for
# minutes.
_TENSORFLOW_ENVIRONMENT = {
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "GCS_RETRY_CONFIG_MAX_RETRIES": "2",
}


def examine_quickly(workdir: str, data_dir: str) -> list[Finding]:
    """Runs the checks that need neither TensorFlow nor another program, nor an accelerator.

    Args:
      workdir: the work directory of a run; if empty, only the disk is checked.
      data_dir: the data directory; if empty, TFDS_DATA_DIR is checked if it is set.
    """
    findings = [packages.check_python(), *packages.check_packages(), environment.check_hosts()]
    findings.append(environment.check_temporary())
    if not workdir:
        findings.append(environment.check_disk("."))
    elif not is_remote(workdir):
        findings += environment.check_workdir(workdir)
    data = _data_dir(data_dir)
    if data and not is_remote(data):
        findings.append(environment.check_data_dir(data, is_required=bool(data_dir)))
    return findings


def examine(config: DistributionConfig, workdir: str, data_dir: str) -> list[Finding]:
    """Runs all checks, the slow ones in parallel.

    Args:
      config: where a run would compute.
      workdir: the work directory of a run; may be empty.
      data_dir: the data directory; if empty, TFDS_DATA_DIR is checked if it is set.
    """
    with ThreadPoolExecutor() as pool:
        tensorflow = pool.submit(examine_tensorflow, config, workdir, _data_dir(data_dir))
        gcloud, docker = pool.submit(programs.check_gcloud), pool.submit(programs.check_docker)
        return [
            *examine_quickly(workdir, data_dir),
            *tensorflow.result(),
            gcloud.result(),
            docker.result(),
        ]


def examine_tensorflow(config: DistributionConfig, workdir: str, data_dir: str) -> list[Finding]:
    """Runs the checks that need TensorFlow in a child process.

    A crash or a timeout of that process is a finding too. It releases the devices when it ends.
    """
    request = {"config": dataclasses.asdict(config), "workdir": workdir, "data_dir": data_dir}
    started = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-m", _TENSORFLOW_PROGRAM],
            input=json.dumps(request),
            env={**tpu.environment_without(os.environ), **_TENSORFLOW_ENVIRONMENT},
            capture_output=True,
            text=True,
            timeout=_TENSORFLOW_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        text = f"TensorFlow does not respond within {_TENSORFLOW_TIMEOUT} s"
        remedy = "check whether another process holds the accelerator, or use --quick to skip it"
        return [Finding("devices", Level.FAIL, text, remedy)]
    if done.returncode == 0:
        text = f"TensorFlow starts in {time.perf_counter() - started:.1f} s"
        findings = json.loads(done.stdout.splitlines()[-1])
        return [Finding("start", Level.OK, text), *(Finding(**finding) for finding in findings)]
    error = (done.stderr.strip().splitlines() or [""])[-1]
    text = f"TensorFlow does not start (status {done.returncode}): {error[:200]}"
    remedy = "for the full error run: python -c 'import trainer.compat.keras'"
    return [Finding("start", Level.FAIL, text, remedy)]


def _data_dir(data_dir: str) -> str:
    return data_dir or os.environ.get("TFDS_DATA_DIR", "")
