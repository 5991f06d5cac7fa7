"""Builds gcloud command lines."""

import re

from trainer.cloud.command_errors import ErrorPatterns
from trainer.cloud.commands import Command

# What gcloud 528 prints for the errors of the services and of its own transport. It exits with 1
# for all of them.
ERRORS = ErrorPatterns(
    exists=re.compile(r"ALREADY_EXISTS|already exists", re.I),
    not_found=re.compile(
        r"NOT_FOUND|notFound:|was not found|instance \[[^]]*\] not found|not found: 404|"
        r"matched no objects|No URLs matched|Image not found",
        re.I,
    ),
    condition=re.compile(r"\b412\b|pre-?conditions? you specified", re.I),
    quota=re.compile(r"\bquota\b|QUOTA_EXCEEDED", re.I),
    stock_out=re.compile(
        r"ZONE_RESOURCE_POOL_EXHAUSTED|does not have enough resources|no more capacity|"
        r"insufficient capacity|resources are insufficient|stockout",
        re.I,
    ),
    no_contact=re.compile(
        r"\b50[0234]\b|\b401\b|\b429\b|UNAVAILABLE|UNAUTHENTICATED|DEADLINE_EXCEEDED|"
        r"INTERNAL:|internal error|backend error|rate ?limit|timed? ?out|connection|"
        r"network is|unable to (find the server|connect)|name resolution|temporar|"
        r"reauthentication|refreshing .*token|invalid_grant|authentication credentials|"
        r"authoriz(e|ation) required|remote end closed|broken pipe|EOF occurred",
        re.I,
    ),
)


def command(words: str, *arguments: str, text: str = "") -> Command:
    """`gcloud WORDS ARGUMENTS…` without prompts; `text` is its standard input."""
    return Command(("gcloud", *words.split(), *arguments, "--quiet"), text)


def optional_flag(flag: str, value: str) -> tuple[str, ...]:
    """`--flag=value`, or nothing if the value is empty."""
    return (f"--{flag}={value}",) if value else ()


def dictionary(values: dict[str, str]) -> str:
    """A dictionary argument of gcloud, with a delimiter that occurs in none of its values."""
    items = [f"{name}={value}" for name, value in values.items()]
    text = "".join(items)
    delimiter = next(mark for mark in map(chr, (*b",|;~!@#%&", *range(0xA1, 0x3000)))
                     if mark not in text)  # fmt: skip
    joined = delimiter.join(items)
    return joined if delimiter == "," else f"^{delimiter}^{joined}"
