"""A node at the other end of a connection, as an `IPartStore`.  It speaks the part protocol with treq."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from zope.interface import implementer

from storaged import wire
from storaged.client.answers import error_of, part_info, read_all, reason_of
from storaged.client.reader import RemotePartReader
from storaged.client.writer import RemotePartWriter
from storaged.errors import BadRequest, BadSpan, NodeUnavailable
from storaged.interfaces import IPartReader, IPartStore, IPartWriter, NodeInfo, PartInfo
from storaged.partfile import parse_part_id
from storaged.ranges import Span, format_range, parse_content_range

_ANSWER_TIMEOUT_S = 30.0


@implementer(IPartStore)
class RemotePartStore:
    """The parts of one node.

    :param node_id: the node that must answer.
    :param url: where it listens, without a path.
    :param key: the cluster key.
    :param cluster: gives the id of the cluster the front belongs to; empty while not known yet.
    :param client: a client of `storaged.streaming.make_client`.
    """

    def __init__(
        self, node_id: str, url: str, key: str, cluster: Callable[[], str], client: HTTPClient, reactor: Any
    ) -> None:
        self._node_id = node_id
        self._url = url.rstrip("/")
        self._key = key
        self._cluster = cluster
        self._client = client
        self._reactor = reactor

    def _headers(self, **more: str) -> dict[bytes | str, bytes | str]:
        headers: dict[bytes | str, bytes | str] = {
            "Authorization": wire.format_key(self._key),
            wire.NODE_HEADER: self._node_id,
            wire.CLUSTER_HEADER: self._cluster(),
        }
        headers.update(more)
        return headers

    def create(self, part_id: str, stored: int | None) -> Deferred[IPartWriter]:
        """Begin a part; see `IPartStore.create`.  What the node has against it may show only in `when_broken`."""
        return Deferred.fromCoroutine(self._create(part_id, stored))

    async def _create(self, part_id: str, stored: int | None) -> IPartWriter:
        _check(part_id)
        writer = RemotePartWriter(self._node_id, part_id, stored)
        headers = self._headers(**{"Content-Type": wire.PART_TYPE})
        writer.answered(
            self._client.put(
                self._url + wire.part_path(part_id),
                data=writer,
                headers=headers,
                unbuffered=True,
                allow_redirects=False,
                reactor=self._reactor,
            )
        )
        try:
            await writer.connected
        except BaseException:
            await writer.abort()
            raise
        return writer

    def open(self, part_id: str, span: Span | None) -> Deferred[IPartReader]:
        """Read a part; see `IPartStore.open`."""
        return Deferred.fromCoroutine(self._open(part_id, span))

    async def _open(self, part_id: str, span: Span | None) -> IPartReader:
        _check(part_id)
        if span is not None and not 0 <= span.start < span.stop:
            raise BadSpan(f"part {part_id}: no bytes {span.start} to {span.stop}")
        headers = self._headers() if span is None else self._headers(Range=format_range(span))
        response = await self._ask("GET", wire.part_path(part_id), headers)
        if response.code != (200 if span is None else 206):
            raise error_of(response)
        reader = RemotePartReader(self._node_id, part_id)
        response.deliverBody(reader)
        if span is not None:
            got, _ = parse_content_range((response.headers.getRawHeaders("Content-Range") or [""])[0])
            if got != span:
                reader.close()
                raise BadSpan(f"part {part_id}: no bytes {span.start} to {span.stop}")
        return reader

    def stat(self, part_id: str) -> Deferred[PartInfo]:
        """Look at a part; see `IPartStore.stat`."""
        return Deferred.fromCoroutine(self._stat(part_id))

    async def _stat(self, part_id: str) -> PartInfo:
        _check(part_id)
        response = await self._ask("HEAD", wire.part_path(part_id), self._headers())
        await read_all(response)
        if response.code != 200:
            raise error_of(response)
        return part_info(part_id, response)

    def remove(self, part_id: str) -> Deferred[bool]:
        """Delete a part; see `IPartStore.remove`."""
        return Deferred.fromCoroutine(self._remove(part_id))

    async def _remove(self, part_id: str) -> bool:
        _check(part_id)
        response = await self._ask("DELETE", wire.part_path(part_id), self._headers())
        await read_all(response)
        if response.code == 204:
            return True
        error = error_of(response)
        if response.code == 404:
            return False
        raise error

    def list_parts(self, after: str, limit: int) -> Deferred[list[PartInfo]]:
        """List parts; see `IPartStore.list_parts`."""
        return Deferred.fromCoroutine(self._list(after, limit))

    async def _list(self, after: str, limit: int) -> list[PartInfo]:
        return wire.decode_parts(await self._get_json(wire.list_path(quote(after, safe=""), limit)))

    def info(self) -> Deferred[NodeInfo]:
        """Who this is and what room there is; see `IPartStore.info`."""
        return Deferred.fromCoroutine(self._info())

    async def _info(self) -> NodeInfo:
        return wire.decode_node(await self._get_json(wire.NODE_PATH))

    async def _get_json(self, path: str) -> bytes:
        response = await self._ask("GET", path, self._headers())
        body = await read_all(response)
        if response.code != 200:
            raise error_of(response)
        return body

    async def _ask(self, method: str, path: str, headers: dict[bytes | str, bytes | str]) -> Any:
        try:
            return await self._client.request(
                method, self._url + path, headers=headers, unbuffered=True, allow_redirects=False,
                timeout=_ANSWER_TIMEOUT_S, reactor=self._reactor,
            )  # fmt: skip
        except CancelledError:
            # treq's time-out looks like a cancellation; a cancelled caller does not see what comes of it.
            raise NodeUnavailable(f"node {self._node_id}: no answer to {method} {path}") from None
        except Exception as problem:
            raise NodeUnavailable(f"node {self._node_id}: {reason_of(problem)}") from problem


def _check(part_id: str) -> None:
    try:
        parse_part_id(part_id)
    except ValueError as problem:
        raise BadRequest(str(problem)) from problem
