"""Serves gs:// on the loopback interface: gcp-storage-emulator behind a TLS proxy.

    python gcs_emulator.py DIRECTORY BUCKET

TensorFlow always uses https://www.googleapis.com for gs://, but it honors HTTPS_PROXY and trusts
the certificates in CURL_CA_BUNDLE. Once it serves, the program prints the environment that a
client needs, as JSON. It refuses other hosts and lists all requested hosts in DIRECTORY/hosts.
"""

import json
import logging
import socketserver
import ssl
import subprocess
import sys
from pathlib import Path

from gcp_storage_emulator import server as emulator
from gcp_storage_emulator.handlers import buckets
from gcp_storage_emulator.storage import Storage

HOSTS = ("storage.googleapis.com", "www.googleapis.com")


class Handler(emulator.RequestHandler):
    """One request to the emulator, with behavior of the real service that the emulator lacks."""

    protocol_version = "HTTP/1.1"

    def parse_request(self):
        parsed = super().parse_request()
        if parsed and "Transfer-Encoding" in self.headers:
            # TensorFlow sends both headers; Content-Length then excludes the chunk framing.
            del self.headers["Content-Length"]
        return parsed

    def handle_expect_100(self):
        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def send_header(self, keyword, value):
        # Never redirect a client to plain HTTP.
        super().send_header(keyword, value.replace("http://", "https://", 1))

    def end_headers(self):
        self.send_header("Connection", "close")
        super().end_headers()


class Proxy(socketserver.StreamRequestHandler):
    """One CONNECT request and the TLS request that follows."""

    def handle(self):
        host = self.rfile.readline().split()[1].decode().rpartition(":")[0]
        while self.rfile.readline().strip():
            pass
        with self.server.hosts.open("a") as file:
            file.write(f"{host}\n")
        if host not in HOSTS:
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with self.server.context.wrap_socket(self.request, server_side=True) as inner:
            Handler(self.server.storage, inner, self.client_address, self.server)


def main(directory, bucket):
    read = emulator._read_data
    # The emulator fails on an empty upload, which is how TensorFlow creates a folder.
    emulator._read_data = lambda handler, query: read(handler, query) or b""
    logging.disable()
    with socketserver.TCPServer(("127.0.0.1", 0), Proxy) as proxy:
        proxy.hosts = directory / "hosts"
        proxy.storage = Storage(use_memory_fs=True)
        buckets.create_bucket(bucket, proxy.storage)
        proxy.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        proxy.context.load_cert_chain(*make_certificate(directory))
        environment = {
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.server_address[1]}",
            "CURL_CA_BUNDLE": str(directory / "certificate.pem"),
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "a-token-of-no-use",
        }
        print(json.dumps(environment), flush=True)
        proxy.serve_forever()


def make_certificate(directory):
    """A self-signed certificate for HOSTS, and its key."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    names = ",".join(f"DNS:{host}" for host in HOSTS)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=loopback", "-addext", f"subjectAltName={names}",
         "-out", certificate, "-keyout", key],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
