"""Keeps secrets off the screen: whatever is printed passes through here.

What a job or a tool prints is not ours to trust; a token in a log stays in that log for good.
"""

import os
import re
from collections.abc import Callable, Mapping

HIDDEN = "[hidden]"
# Names of environment variables whose values are secrets.
_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|_PASS$|CREDENTIAL|PRIVATE|_AUTH$|_PAT$"
    r"|(API|ACCESS|AUTH|_)_?KEY",
    re.I,
)
_FORMS = re.compile(
    r"ya29\.[\w.-]+"  # Google access tokens
    r"|1//[\w-]{20,}"  # Google refresh tokens
    r"|AIza[\w-]{30,}"  # Google API keys
    r"|gh[pousr]_\w{20,}"  # GitHub tokens
    r"|hf_\w{20,}"  # Hugging Face tokens
    r"|sk-[\w-]{20,}"
    r"|AKIA[0-9A-Z]{16}"  # AWS access key identifiers
    r"|eyJ[\w-]+\.[\w-]+\.[\w-]+"  # JSON web tokens
    r"|(?<=://)[^\s/:@]*:[^\s/@]+(?=@)"  # user and password in an address
    r"|(?<=[Bb]earer )[\w.~+/=-]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*"
    r"|(?<=\"private_key\": )\"[^\"]*\""
)
# Shorter values would hide ordinary words.
_SHORTEST = 8


def redactor(environment: Mapping[str, str]) -> Callable[[str], str]:
    """A function that hides secrets in a text.

    Args:
      environment: variables; values of those whose names speak of secrets are hidden, and the
        contents of the files that CLOUDSDK_AUTH_ACCESS_TOKEN_FILE and the like point to.
    """
    values = set()
    for name, value in environment.items():
        if _SECRET_NAME.search(name):
            # Output comes line by line; a key of several lines is hidden line by line.
            values |= {*value.splitlines(), *_lines_of_file(value)}
    secrets = sorted((value for value in values if _is_secret(value)), key=len, reverse=True)
    known = re.compile("|".join(map(re.escape, secrets))) if secrets else None

    def redact(text: str) -> str:
        if known is not None:
            text = known.sub(HIDDEN, text)
        return _FORMS.sub(HIDDEN, text)

    return redact


def _is_secret(value: str) -> bool:
    # A path to a secret is none, and is needed to understand an error.
    return len(value) >= _SHORTEST and not os.path.exists(value)


def _lines_of_file(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(10_000).splitlines()
    except (OSError, ValueError):
        return []
