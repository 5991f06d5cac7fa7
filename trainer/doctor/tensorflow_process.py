"""TensorFlow in a process of its own: one that aborts or hangs is a finding, too.

What the process held is let go when it ends.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time

from trainer.doctor.finding import Finding
from trainer.engine.distribution_config import DistributionConfig

_PROGRAM = "trainer.doctor.tensorflow_checks"
_SECONDS = 120
# A run beside us needs the memory of its GPU; an unreachable gs:// is tried for minutes.
_ENVIRONMENT = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "GCS_RETRY_CONFIG_MAX_RETRIES": "2"}


def examine(config: DistributionConfig, workdir: str, data_dir: str) -> list[Finding]:
    """Starts the process and returns what it finds, or how it ended."""
    request = {"config": dataclasses.asdict(config), "workdir": workdir, "data_dir": data_dir}
    started = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-m", _PROGRAM],
            input=json.dumps(request),
            env={**os.environ, **_ENVIRONMENT},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        text = f"TensorFlow does not answer within {_SECONDS} s"
        remedy = "look whether another process holds the accelerator; --quick leaves it alone"
        return [Finding("devices", "fail", text, remedy)]
    if done.returncode == 0:
        text = f"TensorFlow starts and answers, in {time.perf_counter() - started:.1f} s"
        findings = json.loads(done.stdout.splitlines()[-1])
        return [Finding("start", "ok", text), *(Finding(**finding) for finding in findings)]
    error = (done.stderr.strip().splitlines() or [""])[-1]
    text = f"TensorFlow does not start (status {done.returncode}): {error[:200]}"
    return [
        Finding("start", "fail", text, "python -c 'import trainer.compat.keras' shows all of it")
    ]
