"""Cloud Storage: objects with generations, through the JSON API."""

# ruff: noqa: ARG002  (all handlers have the same arguments)
import base64
import dataclasses
import functools
import hashlib
import json
import re
import struct
import urllib.parse

from .web import Answer, ApiError

PAGE = 1000


@dataclasses.dataclass
class Stored:
    """An object."""

    content: bytes
    generation: int
    created: float
    by: str

    @functools.cached_property
    def crc32c(self):
        return crc32c(self.content)


def crc32c(data):
    """The checksum that Cloud Storage reports (Castagnoli), big-endian in base64."""
    value = 0xFFFFFFFF
    for byte in data:
        value = TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return base64.b64encode(struct.pack(">I", value ^ 0xFFFFFFFF)).decode()


def make_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


TABLE = make_table()


class Storage:
    """The buckets; `objects` has the present objects by (bucket, name).

    Attributes:
      writes: (time, name, by) of each upload, in order.
    """

    def __init__(self, cloud):
        self.cloud = cloud
        self.objects = {}
        self.buckets = {"b"}
        self.writes = []
        self.sessions = {}
        self.generation = 1_800_000_000_000_000
        bucket, item = r"/storage/v1/b/([^/]+)", r"/storage/v1/b/([^/]+)/o/([^/]+)"
        self.routes = (
            ("GET", bucket, self.get_bucket),
            ("GET", bucket + "/o", self.list),
            ("GET", item, self.get),
            ("GET", "/download" + item, self.get),
            ("DELETE", item, self.delete),
            ("POST", "(?:/resumable)?/upload" + bucket + "/o", self.upload),
            ("PUT", "(?:/resumable)?/upload" + bucket + "/o", self.resume),
            ("POST", item + r"/rewriteTo/b/([^/]+)/o/([^/]+)", self.rewrite),
            ("POST", item + r"/copyTo/b/([^/]+)/o/([^/]+)", self.rewrite),
        )

    def read(self, name, bucket="b"):
        """Content of an object, or None."""
        found = self.objects.get((bucket, name))
        return found.content if found else None

    def check_bucket(self, bucket):
        if bucket not in self.buckets:
            raise ApiError(404, "notFound", "The specified bucket does not exist.")

    def find(self, bucket, name):
        self.check_bucket(bucket)
        found = self.objects.get((bucket, name))
        if found is None:
            raise ApiError(404, "notFound", f"No such object: {bucket}/{name}")
        return found

    def get_bucket(self, request, bucket):
        self.check_bucket(bucket)
        return {
            "kind": "storage#bucket",
            "id": bucket,
            "name": bucket,
            "location": "US-CENTRAL1",
            "locationType": "region",
            "storageClass": "STANDARD",
            "metageneration": "1",
            "projectNumber": "1",
            "timeCreated": self.cloud.timestamp(0),
            "updated": self.cloud.timestamp(0),
        }

    def resource(self, request, bucket, name):
        found = self.objects[bucket, name]
        return {
            "kind": "storage#object",
            "id": f"{bucket}/{name}/{found.generation}",
            "bucket": bucket,
            "name": name,
            "size": str(len(found.content)),
            "generation": str(found.generation),
            "mediaLink": f"http://{request.headers.get('host')}/download/storage/v1/b/{bucket}/o/"
            f"{urllib.parse.quote(name, safe='')}?generation={found.generation}&alt=media",
            "metageneration": "1",
            "contentType": "application/octet-stream",
            "storageClass": "STANDARD",
            "md5Hash": base64.b64encode(hashlib.md5(found.content).digest()).decode(),
            "crc32c": found.crc32c,
            "etag": str(found.generation),
            "timeCreated": self.cloud.timestamp(found.created),
            "updated": self.cloud.timestamp(found.created),
        }

    def check_generation(self, request, bucket, name):
        found = self.objects.get((bucket, name))
        generation = found.generation if found else 0
        expected = request.query.get("ifGenerationMatch")
        if expected is not None and int(expected) != generation:
            raise ApiError(
                412,
                "conditionNotMet",
                "At least one of the pre-conditions you specified did not hold.",
            )
        refused = request.query.get("ifGenerationNotMatch")
        if refused is not None and int(refused) == generation:
            raise ApiError(304, "notModified", "Not Modified")

    def get(self, request, bucket, name):
        found = self.find(bucket, name)
        generation = request.query.get("generation")
        if generation is not None and int(generation) != found.generation:
            raise ApiError(404, "notFound", f"No such object: {bucket}/{name}")
        self.check_generation(request, bucket, name)
        if request.query.get("alt") != "media":
            return self.resource(request, bucket, name)
        content = found.content
        headers = {
            "X-Goog-Generation": str(found.generation),
            "X-Goog-Hash": f"crc32c={found.crc32c}",
            "ETag": str(found.generation),
        }
        span = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
        if not span:
            return Answer(content, 200, headers)
        size = len(content)
        first = int(span[1]) if span[1] else max(0, size - int(span[2]))
        last = min(size - 1, int(span[2])) if span[1] and span[2] else size - 1
        if first >= size:
            headers["Content-Range"] = f"bytes */{size}"
            return Answer(b"", 416, headers)
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return Answer(content[first : last + 1], 206, headers)

    def list(self, request, bucket):
        self.check_bucket(bucket)
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter")
        names, prefixes = [], []
        for _, name in sorted(key for key in self.objects if key[0] == bucket):
            if not name.startswith(prefix):
                continue
            head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if found:
                folder = prefix + head + delimiter
                prefixes += [folder] if folder not in prefixes else []
            else:
                names.append(name)
        start = int(request.query.get("pageToken") or 0)
        end = start + min(int(request.query.get("maxResults") or PAGE), PAGE)
        page = {
            "kind": "storage#objects",
            "items": [self.resource(request, bucket, name) for name in names[start:end]],
            "prefixes": prefixes if start == 0 else [],
        }
        return {**page, "nextPageToken": str(end)} if end < len(names) else page

    def delete(self, request, bucket, name):
        self.find(bucket, name)
        self.check_generation(request, bucket, name)
        del self.objects[bucket, name]
        return Answer(b"", 204)

    def write(self, request, bucket, name, content):
        """Stores an object if the preconditions hold.

        Returns:
          Its resource.
        """
        self.check_bucket(bucket)
        self.check_generation(request, bucket, name)
        self.generation += 1
        self.objects[bucket, name] = Stored(
            content, self.generation, self.cloud.clock.now, request.by
        )
        self.writes.append((self.cloud.clock.now, name, request.by))
        return self.resource(request, bucket, name)

    def upload(self, request, bucket):
        kind = request.query.get("uploadType")
        if kind == "media":
            return self.write(request, bucket, request.query["name"], request.body)
        if kind == "multipart":
            boundary = re.search(r"boundary=['\"]?([^'\";]+)", request.headers["content-type"])[1]
            parts = request.body.split(b"--" + boundary.encode())[1:3]
            head, content = (part.replace(b"\r\n\r\n", b"\n\n", 1) for part in parts)
            name = json.loads(head.partition(b"\n\n")[2])["name"]
            content = content.partition(b"\n\n")[2]
            content = content.removesuffix(b"\n").removesuffix(b"\r")
            return self.write(request, bucket, name, content)
        self.check_bucket(bucket)
        name = request.query.get("name") or request.json()["name"]
        self.check_generation(request, bucket, name)
        identifier = str(len(self.sessions))
        self.sessions[identifier] = (request, name, bytearray())
        host = request.headers["host"]
        query = f"uploadType=resumable&upload_id={identifier}"
        return Answer({}, 200, {"Location": f"http://{host}{request.path}?{query}"})

    def resume(self, request, bucket):
        first, name, data = self.sessions[request.query["upload_id"]]
        span = re.fullmatch(
            r"bytes (?:\*|(\d+)-(\d+))/(\*|\d+)", request.headers.get("content-range", "")
        )
        if span is None:
            data[:] = request.body
        elif span[1]:
            data[int(span[1]) :] = request.body
        if span and (span[3] == "*" or int(span[3]) > len(data)):
            headers = {"Range": f"bytes=0-{len(data) - 1}"} if data else {}
            return Answer(b"", 308, headers)
        return self.write(first, bucket, name, bytes(data))

    def rewrite(self, request, bucket, name, to_bucket, to_name):
        content = self.find(bucket, name).content
        resource = self.write(request, to_bucket, to_name, content)
        size = resource["size"]
        return {
            "kind": "storage#rewriteResponse",
            "done": True,
            "totalBytesRewritten": size,
            "objectSize": size,
            "resource": resource,
        }
