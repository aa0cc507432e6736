"""The front doors of a cluster, for clients that store, read and delete files without knowing by which door."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from defusedxml.ElementTree import fromstring

from tests.live.clients import Answer, ask
from tests.live.processes import wait_until

_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_IN_PARTS = 1_000_000
"""Files with at least so many bytes are sent as multipart uploads."""


class Door(Protocol):
    """A front door.

    :cvar stored: the statuses of a PUT that has stored the file.
    """

    stored: frozenset[int]

    def prepare(self) -> None:
        """Make what the door needs before files can be stored."""

    def put(self, path: str, data: bytes) -> Answer:
        """Store a file."""

    def get(self, path: str) -> Answer:
        """Read a file."""

    def delete(self, path: str) -> Answer:
        """Delete a file: 204; or 404, if there is none and the door tells."""

    def tidy(self) -> None:
        """End what clients have begun and not ended."""


class WebDAV:
    """The front's own door.

    :param urls: those of the fronts, which get the requests by turns.
    """

    stored = frozenset({201, 204})

    def __init__(self, *urls: str) -> None:
        self._urls = cycle(urls)

    def _at(self, path: str) -> str:
        return next(self._urls) + path

    def prepare(self) -> None:
        """Do nothing."""

    def put(self, path: str, data: bytes) -> Answer:
        return ask(self._at(path), "PUT", data)

    def get(self, path: str) -> Answer:
        return ask(self._at(path))

    def delete(self, path: str) -> Answer:
        return ask(self._at(path), "DELETE")

    def tidy(self) -> None:
        """Do nothing: an upload ends with its request."""


def _upload_of(begun: Answer) -> str:
    return fromstring(begun.body).findtext(f"{_NAMESPACE}UploadId") or ""


class S3:
    """The door for S3, by which large files are stored as multipart uploads.

    :param key: the file of the access key and the secret key.
    :param urls: those of the fronts, which get the requests by turns.
    """

    stored = frozenset({200})

    def __init__(self, key: Path, *urls: str) -> None:
        self._urls = cycle(urls)
        self._key = key

    def ask(self, method: str, path: str, data: bytes = b"", **headers: str) -> Answer:
        """Send a signed request about the bucket."""
        url = f"{next(self._urls)}/bucket{path}"
        request: Any = AWSRequest(method=method, url=url, headers=headers, data=data)
        S3SigV4Auth(Credentials(*self._key.read_text().split()), "s3", "us-east-1").add_auth(request)
        return ask(url, method, data, **dict(request.headers.items()))

    def prepare(self) -> None:
        """Make the bucket."""
        assert self.ask("PUT", "").status == 200

    def put(self, path: str, data: bytes) -> Answer:
        return self._put_in_parts(path, data) if len(data) >= _IN_PARTS else self.ask("PUT", path, data)

    def _put_in_parts(self, path: str, data: bytes) -> Answer:
        begun = self.ask("POST", f"{path}?uploads")
        if begun.status != 200:
            return begun
        upload = _upload_of(begun)
        part = self._put_part(path, upload, 1, data)
        if part.status != 200:
            return part

        def complete() -> Answer | None:
            done = self.complete(path, upload, [part.etag])
            return None if done.status in {0, 503} else done

        # An answer may be lost, or the front may not be ready; asked again, it answers as if it was the first time.
        return wait_until(complete, "the end of a multipart upload")  # type: ignore[return-value]

    def _put_part(self, path: str, upload: str, number: int, data: bytes) -> Answer:
        return self.ask("PUT", f"{path}?partNumber={number}&uploadId={upload}", data)

    def begin_parts(self, path: str, parts: Sequence[bytes]) -> tuple[str, list[str]]:
        """Begin a multipart upload and send its parts; none of that may fail.

        :return: its id, and the entity tags of its parts.
        """
        upload = _upload_of(self.ask("POST", f"{path}?uploads"))
        return upload, [self._put_part(path, upload, number, data).etag for number, data in enumerate(parts, 1)]

    def complete(self, path: str, upload: str, etags: Sequence[str], **headers: str) -> Answer:
        """Complete a multipart upload."""
        named = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in enumerate(etags, 1)
        )
        body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
        return self.ask("POST", f"{path}?uploadId={upload}", body, **headers)

    def get(self, path: str) -> Answer:
        found = self.ask("GET", path)
        etag = found.etag.strip('"')
        if found.status == 200 and "-" not in etag:
            assert etag == hashlib.md5(found.body).hexdigest(), f"{path}: the bytes are not those of its ETag"
        return found

    def delete(self, path: str) -> Answer:
        return self.ask("DELETE", path)

    def tidy(self) -> None:
        """Abort the multipart uploads whose client has had no answer."""
        listed = fromstring(self.ask("GET", "?uploads").body)
        assert listed.findtext(f"{_NAMESPACE}IsTruncated") == "false"
        for each in listed.findall(f"{_NAMESPACE}Upload"):
            key, upload = each.findtext(f"{_NAMESPACE}Key"), each.findtext(f"{_NAMESPACE}UploadId")
            assert self.ask("DELETE", f"/{quote(key or '')}?uploadId={upload}").status == 204
