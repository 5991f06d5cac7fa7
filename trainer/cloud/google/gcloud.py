"""Builds gcloud command lines."""

import re

from trainer.cloud.command_errors import ErrorPatterns
from trainer.cloud.google.settings import GoogleSettings
from trainer.cloud.plan import Command

ERRORS = ErrorPatterns(
    exists=re.compile(r"ALREADY_EXISTS|already exists", re.I),
    not_found=re.compile(r"NOT_FOUND|was not found|matched no objects", re.I),
    quota=re.compile(r"EXHAUSTED|quota|does not have enough resources", re.I),
    created=re.compile(r"Created \[.*/([^/]+)\]"),
)


def command(words: str, *arguments: str, text: str = "") -> Command:
    """`gcloud WORDS ARGUMENTS…` without prompts; `text` is its standard input."""
    return Command(("gcloud", *words.split(), *arguments, "--quiet"), text)


def optional_flag(flag: str, value: str) -> tuple[str, ...]:
    """`--flag=value`, or nothing if the value is empty."""
    return (f"--{flag}={value}",) if value else ()


def project_and_zone(settings: GoogleSettings) -> tuple[str, ...]:
    """The flags for project and zone."""
    return (*optional_flag("project", settings.project), f"--zone={settings.zone}")
