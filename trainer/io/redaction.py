"""Removes secrets from text before it is printed.

The output of jobs and tools may contain tokens, and a token in a log stays there.
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
_TOKEN_FORMATS = re.compile(
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
# Shorter values could be ordinary words.
_MIN_LENGTH = 8


def redactor(environment: Mapping[str, str]) -> Callable[[str], str]:
    """Returns a function that replaces secrets in a text with `HIDDEN`.

    It replaces known token formats, the values of variables whose names indicate a secret, and
    the content of files that such variables name, for example CLOUDSDK_AUTH_ACCESS_TOKEN_FILE.

    Args:
      environment: environment variables.
    """
    values = set()
    for name, value in environment.items():
        if _SECRET_NAME.search(name):
            # Output is redacted line by line, so a secret of several lines must be split.
            values |= {*value.splitlines(), *_lines_of_file(value)}
    secrets = sorted((value for value in values if _is_secret(value)), key=len, reverse=True)
    known = re.compile("|".join(map(re.escape, secrets))) if secrets else None

    def redact(text: str) -> str:
        if known is not None:
            text = known.sub(HIDDEN, text)
        return _TOKEN_FORMATS.sub(HIDDEN, text)

    return redact


def _is_secret(value: str) -> bool:
    # The path to a secret is not secret, and is needed to understand an error.
    return len(value) >= _MIN_LENGTH and not os.path.exists(value)


def _lines_of_file(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(10_000).splitlines()
    except (OSError, ValueError):
        return []
