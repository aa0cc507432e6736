"""A client of S3 for clusters in this process, which signs as botocore does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from defusedxml.ElementTree import fromstring

from splitd.access.secrets import Seal
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.node import KEY as CLUSTER_KEY

SECRET = "a/secret+of=tests"
KEY = ("SPLITTEST", SECRET)
_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class S3:
    """The S3 door of a cluster, used with one pair of keys.

    :param key: None to send no signature.
    """

    def __init__(self, cluster: Cluster, key: tuple[str, str] | None = KEY) -> None:
        self.cluster = cluster
        self._key = key

    async def ask(
        self, method: str, path: str, data: bytes = b"", *, sent: bytes | None = None, **headers: str
    ) -> Answer:
        """Send a request; return its answer.

        :param path: with its query, encoded already.
        :param sent: what is sent in place of what is signed.
        """
        url = self.cluster.s3_url + path
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request: Any = AWSRequest(method=method, url=url, headers=named, data=data)
        if self._key is not None:
            S3SigV4Auth(Credentials(*self._key), "s3", "us-east-1").add_auth(request)
        return await self.cluster.ask(method, url, data if sent is None else sent, **_sent(request))

    async def put(self, path: str, data: bytes, **headers: str) -> Answer:
        return await self.ask("PUT", path, data, **headers)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, **headers)

    def presigned(self, method: str, path: str, expires_s: int = 60) -> str:
        """Return the URL of a request that is signed in it."""
        assert self._key is not None
        request: Any = AWSRequest(method=method, url=self.cluster.s3_url + path)
        S3SigV4QueryAuth(Credentials(*self._key), "s3", "us-east-1", expires_s).add_auth(request)
        return str(request.url)


def _sent(request: Any) -> dict[str, str]:
    # Of the headers that were signed, treq writes Host itself; its value is the same.
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}


def write_users(path: Path, grants: Mapping[str, str], everybody: str = "") -> None:
    """Write a file of users, each with the key NAME and the secret `SECRET`.

    :param grants: the grants of each, as they stand in the file.
    :param everybody: the grants of everybody.
    """
    lines = ["users:"]
    for name, allowed in grants.items():
        sealed = Seal(CLUSTER_KEY).seal(name.upper(), SECRET)
        lines += [
            f"  {name}:",
            f"    grants: [{allowed}]",
            f"    keys: [{{id: {name.upper()}, secret: {sealed}}}]",
        ]
    lines += ["anonymous:", f"  grants: [{everybody}]", ""]
    path.write_text("\n".join(lines))


def code_of(answer: Answer) -> tuple[int, str]:
    """Return the status and the code of an error."""
    return answer.code, fromstring(answer.body).findtext("Code") or ""


def parsed(answer: Answer) -> Element:
    """Return the document of an answer, without its namespace."""
    root = fromstring(answer.body)
    for each in root.iter():
        each.tag = each.tag.removeprefix(_NAMESPACE)
    assert isinstance(root, Element)
    return root


def texts(answer: Answer, path: str) -> list[str]:
    """Return the texts of all elements at a path of an answer."""
    return [each.text or "" for each in parsed(answer).iterfind(path)]
