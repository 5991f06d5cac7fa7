"""Reports to Vertex AI's own tuning service, in the file that cloudml-hypertune writes."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

# cloudml-hypertune's, where the service does not name one.
_DEFAULT_FILE = "/tmp/hypertune/output.metrics"


def report(
    metrics: Mapping[str, object], step: int, environment: Mapping[str, str], now: float = 0.0
) -> None:
    """Adds a line for each number; does nothing where no tuning service runs this process.

    Args:
      metrics: by the name that the tuning job's metricId gives.
      step: at which they were measured.
      environment: CLOUD_ML_TRIAL_ID says that there is a service, CLOUD_ML_HP_METRIC_FILE
        where it reads.
      now: seconds since 1970; 0 is the clock's.
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
