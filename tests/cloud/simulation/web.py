"""The loopback server of the simulated services: requests, answers, batches and faults."""

# ruff: noqa: ARG002  (all handlers have the same arguments)
import contextlib
import dataclasses
import json
import re
import socket
import struct
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclasses.dataclass
class Request:
    """A request; `by` is "submitter" or the name of a machine."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes
    by: str

    def json(self):
        return json.loads(self.body) if self.body else {}


@dataclasses.dataclass
class Answer:
    body: object = dataclasses.field(default_factory=dict)  # bytes, or what is sent as JSON
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)


class ApiError(Exception):
    """An answer that is an error of Google's APIs.

    A reason in capitals is the status of the newer APIs; Storage and Compute have `errors`.
    """

    def __init__(self, status, reason, message):
        super().__init__(message)
        error = {"code": status, "message": message}
        if reason.isupper():
            error["status"] = reason
        else:
            error["errors"] = [{"message": message, "domain": "global", "reason": reason}]
        self.answer = Answer({"error": error}, status)


class Drop(Exception):
    """The connection is closed without an answer, after simulated seconds."""

    def __init__(self, seconds=0):
        super().__init__(seconds)
        self.seconds = seconds


def not_found(name):
    return ApiError(404, "notFound", f"The resource '{name}' was not found")


def serve(cloud, by=None):
    """Starts a server on loopback.

    Args:
      cloud: has `clock`, `answer(request)` and `routes`.
      by: who sends the requests; without it, the machine named by the access token.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            try:
                with cloud.clock.held():
                    body = self.read()
                    if self.path.startswith("/batch"):
                        answer = self.answer_batch(body)
                    else:
                        answer = self.answer(self.command, self.path, dict(self.headers), body)
                self.reply(answer)
            except Drop as drop:
                cloud.clock.delay(self.requester(), drop.seconds)
                # A reset, so that the client doesn't take it for an empty answer.
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def requester(self):
            """The process of a gcloud command, which `gcloud_client.py` sends as environment."""
            match = re.search(r"environment/sim(\d+)", self.headers.get("User-Agent", ""))
            return int(match[1]) if match else None

        def read(self):
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def answer(self, method, target, headers, body):
            url = urllib.parse.urlsplit(target)
            query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            who = by or token.removeprefix("ya29.machine-") or "machine"
            headers = {name.lower(): value for name, value in headers.items()}
            request = Request(method, url.path, query, headers, body, who)
            try:
                return cloud.answer(request)
            except ApiError as error:
                return error.answer

        def answer_batch(self, body):
            text = body.decode().replace("\r\n", "\n")
            boundary = text.split("\n", 1)[0]
            parts = []
            for part in text.split(boundary)[1:-1]:
                head, _, inner = part.strip().partition("\n\n")
                identifier = re.search(r"content-id: <(.*)>", head, re.IGNORECASE)[1]
                first, _, rest = inner.partition("\n")
                method, target, *_ = first.split(" ")
                headers, _, content = rest.partition("\n\n")
                pairs = (line.partition(": ")[::2] for line in headers.splitlines())
                answer = self.answer(method, target, dict(pairs), content.strip().encode())
                sent = json.dumps(answer.body)
                parts.append(
                    f"--answers\r\nContent-Type: application/http\r\n"
                    f"Content-ID: <response-{identifier}>\r\n\r\nHTTP/1.1 {answer.status} X\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
                    f"{sent}\r\n"
                )
            content = ("".join(parts) + "--answers--").encode()
            return Answer(content, 200, {"Content-Type": "multipart/mixed; boundary=answers"})

        def reply(self, answer):
            raw = isinstance(answer.body, bytes)
            content = answer.body if raw else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            kind = "application/octet-stream" if raw else "application/json"
            for name, value in {"Content-Type": kind, **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request, client_address):
            with contextlib.suppress(Exception):
                import traceback

                cloud.failures.append(traceback.format_exc())

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    return server


def route(routes, request):
    """Calls the function whose pattern matches: (method, pattern, function)."""
    for method, pattern, function in routes:
        match = re.fullmatch(pattern, request.path)
        if method == request.method and match:
            arguments = [urllib.parse.unquote(text) for text in match.groups()]
            answer = function(request, *arguments)
            return answer if isinstance(answer, Answer) else Answer(answer)
    raise ApiError(404, "notFound", f"no such method: {request.method} {request.path}")


def filtered(text, item):
    """Whether a resource matches the part of a list filter about labels and names.

    gcloud applies its own `--filter` to what comes back, so that more may be returned.
    """
    for name, value in re.findall(r"labels\.([\w-]+)\s*[=:]+\s*\(?\"?([\w-]+)\"?", text or ""):
        if item.get("labels", {}).get(name) != value:
            return False
    return True
