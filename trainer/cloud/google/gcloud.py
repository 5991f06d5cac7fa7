"""gcloud command lines, put together."""

from trainer.cloud.plan import Command
from trainer.cloud.settings import Settings


def command(words: str, *arguments: str, text: str = "") -> Command:
    """`gcloud WORDS ARGUMENTS…`, which asks nothing back."""
    return Command(("gcloud", *words.split(), *arguments, "--quiet"), text)


def given(flag: str, value: str) -> tuple[str, ...]:
    """`--flag=value`, or nothing for an empty value."""
    return (f"--{flag}={value}",) if value else ()


def in_zone(settings: Settings) -> tuple[str, ...]:
    """The flags of project and zone."""
    return (*given("project", settings.project), f"--zone={settings.zone}")
