"""`trainer doctor`."""

import dataclasses
import json
import os
from collections.abc import Sequence

from absl import flags as absl_flags

from trainer.cli import distribution_flags, flags
from trainer.doctor.examination import examine, examine_quickly
from trainer.doctor.finding import Finding, Level
from trainer.errors import UserError
from trainer.io.redaction import redactor


def _doctor(values: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_boolean(
        "json", False, "Print the findings as a JSON array.", flag_values=values
    )
    absl_flags.DEFINE_boolean(
        "quick",
        False,
        "Skip the checks that need TensorFlow, gcloud or docker. Takes under a second and does not "
        "touch an accelerator, so that it can serve as a health check.",
        flag_values=values,
    )


USAGE = "trainer doctor [--workdir=DIR] [--data_dir=DIR] [--quick] [--json] [flags]"
TAKES_CONFIG = False
FLAGS = (flags.workdir, flags.data_dir, distribution_flags.define, _doctor)


def run(arguments: Sequence[str], started: float) -> None:
    """Runs the checks and prints the findings with their remedies.

    Raises:
      UserError: if a check failed.
    """
    del started
    values, positional = flags.parse(FLAGS, arguments)
    if positional:
        raise UserError(f"doctor takes only flags. Received: {' '.join(positional)}")
    if values.quick:
        findings = examine_quickly(values.workdir, values.data_dir)
    else:
        findings = examine(distribution_flags.from_flags(values), values.workdir, values.data_dir)
    redact = redactor(os.environ)
    findings = [dataclasses.replace(finding, text=redact(finding.text)) for finding in findings]
    if values.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        print("\n".join(map(_line, findings)))
    failed = [finding.check for finding in findings if finding.level is Level.FAIL]
    if failed:
        raise UserError(f"fix the failed checks above: {', '.join(failed)}")


def _line(finding: Finding) -> str:
    line = f"{finding.level.value:<4}  {finding.check:<10}  {finding.text}"
    return f"{line}\n{'':18}→ {finding.remedy}" if finding.remedy else line
