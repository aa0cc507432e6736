"""The collaborators of the operations, and one request with all that is known of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

import attrs

from splitd.access.grants import Principal
from splitd.frontends.s3.buckets.notes import Buckets, Owner, owner_of_bucket
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.keys import Keys
from splitd.frontends.s3.payload.expected import Expected, read_expected
from splitd.frontends.s3.payload.hashing import ThreadedMD5
from splitd.frontends.s3.payload.receiving import collect
from splitd.frontends.s3.query import Query
from splitd.frontends.s3.signing.authentication import Authenticator, Proof
from splitd.frontends.s3.target import Target, path_of
from storaged.http import IHeaders, IRequest
from storaged.system.clocks import WallClock
from storaged.system.parallel import InThread

_XML_LIMIT = 1024 * 1024
"""The most bytes that a request's XML may have, unless it is a list."""

OWNER = b"x-amz-expected-bucket-owner"
"""The header that says whose the bucket should be."""

_AT_ONCE = 16 * 1024
"""Bytes of XML that are read in a millisecond or two; longer ones would keep the reactor from everything else."""

_Read = TypeVar("_Read")

LIST_LIMIT = 4 * 1024 * 1024
"""The most bytes of a list of ten thousand parts with their checksums, or of a thousand keys: each of those may have
1,024 bytes, and more in XML.
"""


@attrs.frozen
class S3Settings:
    """What the operator has chosen.

    :param region: the region of all buckets.
    :param domains: names below which each bucket is a host.
    :param md5: whether the ETag of an object is its MD5.
    :param tells_nodes: whether requests to nodes name the client's request.
    """

    region: str
    domains: tuple[str, ...] = ()
    md5: bool = True
    tells_nodes: bool = False


@attrs.frozen
class S3Door:
    """What an operation needs from the rest of the front.

    :param keys: the objects, as the one sees them who asks.
    :param buckets: what is kept with buckets.
    :param in_thread: computes in a thread.
    :param wall: tells what time it is.
    """

    keys: Keys
    buckets: Buckets
    settings: S3Settings
    in_thread: InThread
    wall: WallClock


@attrs.define  # it is made for each request, and one that is frozen takes three times as long
class S3Request:
    """One request, after its signature was found good.

    :param http: the request, and its answer.
    :param authenticator: proves who has signed the policy of a form.
    :param door_of: returns the door as somebody else sees it.
    """

    http: IRequest
    target: Target
    proof: Proof
    door: S3Door
    authenticator: Authenticator
    door_of: Callable[[Principal], S3Door]

    @property
    def bucket(self) -> str:
        """The bucket that it names."""
        return self.target.bucket

    @property
    def key(self) -> str:
        """The key that it names."""
        return self.target.key

    @property
    def query(self) -> Query:
        """The query of its URL."""
        return self.target.query

    @property
    def keys(self) -> Keys:
        """The objects, as the one sees them who asks."""
        return self.door.keys

    def header(self, name: str) -> str:
        """Return the value of a header; empty if it did not come."""
        return self.http.getHeader(name) or ""

    def location(self, key: str) -> str:
        """Return the URL of a key of the bucket, as the client reaches it."""
        origin, path = self.http.origin, f"/{key}" if self.target.in_host else path_of(self.bucket, key)
        return f"{origin.scheme}://{origin.authority}{quote(path)}"

    async def owner(self) -> Owner:
        """Return the owner of the bucket, who owns all that is in it."""
        return owner_of_bucket(await self.door.buckets.notes(self.bucket), self.proof.principal)

    def expected(self) -> Expected:
        """Return what it says of its body; see `read_expected`."""
        return read_expected(self.http, self.proof)

    def make_md5(self, set_full: Callable[[bool], None]) -> ThreadedMD5:
        """Return a new computation of an MD5."""
        return ThreadedMD5(self.door.in_thread, set_full)

    async def read_body(self) -> bytes:
        """Return the body, if a checksum in the headers is that of an object, and not of the body."""
        return await collect(self.http, read_expected(self.http, self.proof, of_body=False), LIST_LIMIT)

    async def read_xml(self, limit: int = _XML_LIMIT) -> bytes:
        """Return the body, and check it.

        :param limit: the most bytes that it may have.
        :raise S3Error: it is too long, or is not what the request said.
        """
        return await collect(self.http, self.expected(), limit)

    async def understand(self, body: bytes, read: Callable[[bytes], _Read]) -> _Read:
        """Return what a document says; a long one is read in a thread.

        :param read: reads it; may raise S3Error.
        """
        if len(body) <= _AT_ONCE:
            return read(body)
        understood: _Read = await self.door.in_thread(lambda: read(body))
        return understood


async def refuse_other_owner(request: S3Request, headers: IHeaders) -> None:
    """Refuse a request that expects another owner of the bucket.

    :param headers: those of the request, or what takes their place.
    :raise S3Error: it does.
    """
    expected = headers.getHeader(OWNER.decode())
    if expected and expected != (await request.owner())[0]:
        raise S3Error("AccessDenied", "Access Denied")
