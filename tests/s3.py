"""Requests of S3 for tests, signed by botocore."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpchecksum import AwsChunkedWrapper

from splitd.access.grants import Grants, Principal
from splitd.access.keys import AccessKey
from storaged.http.targets import encode_target

ACCESS_KEY, SECRET_KEY = "SPLITTEST", "a/secret+of=tests"
REGION = "us-east-1"
BOUNDARY = "--xyz"

__all__ = [
    "ACCESS_KEY",
    "BOUNDARY",
    "REGION",
    "SECRET_KEY",
    "AwsChunkedWrapper",
    "FakeRequest",
    "OneUser",
    "form_of",
    "presign",
    "sign",
]


class FakeRequest:
    """The head of a request, as the door sees it."""

    def __init__(self, method: str, uri: str, headers: Iterable[tuple[str, str]]) -> None:
        self.method = method.encode()
        self.uri = encode_target(uri.encode())
        self.headers: dict[str, list[str]] = {}
        self.called: set[str] = set()
        for name, value in headers:
            self.headers.setdefault(name.lower(), []).append(value)

    def header_names(self) -> list[str]:
        return list(self.headers)

    def header_values(self, name: str) -> list[str]:
        return self.headers.get(name.lower(), [])

    def getHeader(self, name: str) -> str | None:
        return self.headers[name.lower()][-1] if name.lower() in self.headers else None

    def only_header(self, name: bytes) -> bytes | None:
        values = self.headers.get(name.decode(), [])
        return values[0].encode("utf-8", "surrogateescape") if len(values) == 1 else None

    def only_headers(self, names: Iterable[bytes]) -> list[bytes] | None:
        found = list(map(self.only_header, names))
        return None if None in found else [value for value in found if value is not None]

    def has_header(self, name: bytes) -> bool:
        return name.decode().lower() in self.headers

    def is_called(self, authority: str) -> bool:
        return authority in self.called


class OneUser:
    """The keys of one user."""

    def __init__(self) -> None:
        self.generation = self
        self.anonymous = Principal("", Grants([]))
        self.user = Principal("anna", Grants([]))

    def find(self, access_key: str) -> AccessKey | None:
        return AccessKey(SECRET_KEY, self.user) if access_key == ACCESS_KEY else None


def _request(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Any:
    return AWSRequest(method=method, url=url, headers=dict(headers), data=body)


def _taken(request: Any, url: str) -> FakeRequest:
    prepared = request.prepare()
    host, slash, path = url.partition("://")[2].partition("/")
    headers = {str(name): _text(value) for name, value in prepared.headers.items()}
    headers.setdefault("Host", host)
    return FakeRequest(prepared.method, slash + path or "/", headers.items())


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def sign(
    method: str, url: str, headers: Mapping[str, str], body: bytes = b"", region: str = REGION, payload: str = ""
) -> FakeRequest:
    """Return a request that is signed in its header.

    :param payload: what it says of its body's hash; empty for that hash.
    """
    request = _request(method, url, headers, body)
    auth: Any = S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", region)
    if payload:
        auth.payload = lambda _: payload
    auth.add_auth(request)
    return _taken(request, url)


def presign(method: str, url: str, headers: Mapping[str, str], expires_s: int = 60) -> FakeRequest:
    """Return a request that is signed in its URL."""
    request = _request(method, url, headers, b"")
    S3SigV4QueryAuth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION, expires_s).add_auth(request)
    return _taken(request, request.url)


def form_of(
    fields: Mapping[str, bytes],
    data: bytes,
    filename: str = "f.txt",
    behind: Mapping[str, bytes] = MappingProxyType({}),
) -> bytes:
    """Return a form with a file."""

    def field(name: str, value: bytes, more: str = "") -> bytes:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        return head.encode() + value + b"\r\n"

    before = b"".join(field(name, value) for name, value in fields.items())
    file = field("file", data, f'; filename="{filename}"\r\nContent-Type: text/x')
    return before + file + b"".join(field(*each) for each in behind.items()) + f"--{BOUNDARY}--\r\n".encode()
