"""Google's services, in the name of the machine's service account."""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import TypeVar

# In seconds: how long a failing network is retried, and the longest pause between two tries.
RETRY_TIMEOUT = 1800.0
MAX_DELAY = 300.0
_REQUEST_TIMEOUT = 60.0
_Result = TypeVar("_Result")


class MetadataServer:
    """What the cloud tells a machine about itself."""

    def __init__(self) -> None:
        host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
        self._url = f"http://{host}/computeMetadata/v1/"
        self._token = ""
        self._token_expires = 0.0

    def get(self, path: str) -> str:
        """A value, for example of `instance/name`."""
        request = urllib.request.Request(self._url + path, headers={"Metadata-Flavor": "Google"})
        with urllib.request.urlopen(request, timeout=_REQUEST_TIMEOUT) as response:
            return response.read().decode()

    def token(self) -> str:
        """An access token of the machine's service account."""
        if time.time() > self._token_expires:
            answer = json.loads(self.get("instance/service-accounts/default/token"))
            self._token = answer["access_token"]
            self._token_expires = time.time() + answer["expires_in"] - 60
        return self._token


class Google:
    """Requests to Google's services in the name of the machine's service account."""

    def __init__(self, metadata: MetadataServer) -> None:
        self._metadata = metadata

    def request(
        self, method: str, service: str, path: str, content: bytes | None = None
    ) -> bytes | None:
        """The answer of a service; None if the object does not exist, or exists already (412).

        Raises:
          OSError: if the service cannot be reached, or refuses.
        """
        variable = f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service.upper()}"
        base = os.environ.get(variable) or f"https://{service}.googleapis.com/"
        root = urllib.parse.urljoin(base, "/")
        request = urllib.request.Request(root + path, data=content, method=method)
        request.add_header("Authorization", f"Bearer {self._metadata.token()}")
        request.add_header("Content-Type", "application/octet-stream")
        try:
            with urllib.request.urlopen(request, timeout=_REQUEST_TIMEOUT) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            if error.code in (404, 412):
                return None
            text = error.read().decode(errors="replace")
            raise OSError(f"{method} {path}: {error.code} {' '.join(text.split())[:300]}") from None


class Folder:
    """A folder of a bucket."""

    def __init__(self, google: Google, url: str) -> None:
        self._google = google
        self._bucket, _, self._prefix = url.removeprefix("gs://").partition("/")

    def read(self, name: str) -> bytes | None:
        """The content of an object; None if it does not exist."""
        path = f"storage/v1/b/{self._bucket}/o/{self._quoted(name)}?alt=media"
        return self._google.request("GET", "storage", path)

    def write(self, name: str, content: bytes, only_if_absent: bool = False) -> bool:
        """Replaces an object; returns False if it should be absent but is not."""
        condition = "&ifGenerationMatch=0" if only_if_absent else ""
        path = f"upload/storage/v1/b/{self._bucket}/o?uploadType=media&name={self._quoted(name)}"
        return self._google.request("POST", "storage", path + condition, content) is not None

    def _quoted(self, name: str) -> str:
        return urllib.parse.quote(f"{self._prefix}/{name}", safe="")


def retried(function: Callable[[], _Result]) -> _Result:
    """The result of a function that raises OSError while the network fails."""
    give_up = time.monotonic() + RETRY_TIMEOUT
    delay = 1.0
    while True:
        try:
            return function()
        except OSError as error:
            if time.monotonic() > give_up:
                raise
            print(f"retrying in {delay:.0f} s: {error}", flush=True)
        time.sleep(delay)
        delay = min(2 * delay, MAX_DELAY)
