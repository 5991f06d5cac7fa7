"""Reports to Vertex AI's tuning service, in the file format of cloudml-hypertune."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

# The default of cloudml-hypertune.
_DEFAULT_FILE = "/tmp/hypertune/output.metrics"


def report(
    metrics: Mapping[str, object], step: int, environment: Mapping[str, str], now: float = 0.0
) -> None:
    """Appends a line for each number; does nothing outside a tuning job.

    Args:
      metrics: by name; the metricId of the tuning job is one of them.
      step: the step of the measurement.
      environment: CLOUD_ML_TRIAL_ID is set inside a tuning job; CLOUD_ML_HP_METRIC_FILE is
        the file to write.
      now: seconds since 1970; 0 uses the clock.
    """
    trial = environment.get("CLOUD_ML_TRIAL_ID")
    if not trial:
        return
    path = Path(environment.get("CLOUD_ML_HP_METRIC_FILE") or _DEFAULT_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for name, value in metrics.items():
            if isinstance(value, int | float):
                line = {
                    "timestamp": now or time.time(),
                    "trial": trial,
                    name: str(float(value)),
                    "global_step": str(step),
                    "checkpoint_path": "",
                }
                file.write(json.dumps(line, sort_keys=True) + "\n")
