"""`trainer doctor`."""

import dataclasses
import json
import os
from collections.abc import Sequence

from absl import flags as absl_flags

from trainer.cli import distribution_flags, flags
from trainer.doctor.examination import examine, examine_quickly
from trainer.doctor.finding import Finding
from trainer.errors import UserError
from trainer.io.redaction import redactor


def _doctor(values: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_boolean("json", False, "Print a JSON array of findings.", flag_values=values)
    absl_flags.DEFINE_boolean(
        "quick",
        False,
        "Look only at what needs neither TensorFlow nor gcloud and docker: under a second, and "
        "no accelerator is touched; for health checks.",
        flag_values=values,
    )


USAGE = "trainer doctor [--workdir=DIR] [--data_dir=DIR] [--quick] [--json] [flags]"
TAKES_CONFIG = False
FLAGS = (flags.workdir, flags.data_dir, distribution_flags.define, _doctor)


def run(arguments: Sequence[str], started: float) -> None:
    """Prints the findings, each with its remedy.

    Raises:
      UserError: if one of them is a failure.
    """
    del started
    values, positional = flags.parse(FLAGS, arguments)
    if positional:
        raise UserError(f"doctor takes flags only. Received: {' '.join(positional)}")
    if values.quick:
        findings = examine_quickly(values.workdir, values.data_dir)
    else:
        findings = examine(distribution_flags.from_flags(values), values.workdir, values.data_dir)
    redact = redactor(os.environ)
    findings = [dataclasses.replace(one, text=redact(one.text)) for one in findings]
    if values.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        print("\n".join(map(_line, findings)))
    failed = [finding.check for finding in findings if finding.level == "fail"]
    if failed:
        raise UserError(f"mend what failed, as said above. Received: {', '.join(failed)}")


def _line(finding: Finding) -> str:
    line = f"{finding.level:<4}  {finding.check:<10}  {finding.text}"
    return f"{line}\n{'':18}→ {finding.remedy}" if finding.remedy else line
