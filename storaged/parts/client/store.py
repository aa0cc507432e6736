"""A node at the other end of a connection, as an `IRemoteStore`.  It speaks the part protocol."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar
from urllib.parse import quote
from weakref import ReferenceType, ref

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.http import IBodyProducer, NodeConnections, NotUpgraded, WholeBody
from storaged.parts import wire
from storaged.parts.checks import check_part_id
from storaged.parts.client.answers import cancellable, error_of, failure_of, part_info, read_all
from storaged.parts.client.greeting import greeting
from storaged.parts.client.journal import JournalLink
from storaged.parts.client.link import Link, LinkClient
from storaged.parts.client.patience import Patience
from storaged.parts.client.reader import RemotePartReader
from storaged.parts.client.writer import RemotePartWriter
from storaged.parts.errors import BadRequest, BadSpan, NodeUnavailable, StoragedError
from storaged.parts.interfaces import IJournalHolder, IPartReader, IPartWriter, IRemoteStore
from storaged.parts.journals import Claim, Standing, decode_standing, encode_json
from storaged.parts.proofs import ClusterKeys
from storaged.parts.values import NodeInfo, PartInfo, PartLook, RottenPart, Scrub
from storaged.system.origin import parse_origin
from storaged.system.ranges import Span, format_range, parse_content_range
from storaged.system.tracing import present_requests

_Answer = TypeVar("_Answer")


@implementer(IRemoteStore, IJournalHolder)
class RemotePartStore:
    """The parts of one node.

    :param node_id: the id of the node that must answer.
    :param url: the URL of the node, without a path.
    :param key: the cluster key, or the valid ones.  They are proven on each connection, and never sent.
    :param cluster: returns the id of the front's cluster; empty while it is not known yet.
    :param connections: makes the connections to the node.
    :param clock: schedules calls.
    :param patience_s: seconds for which the node may send nothing, or take nothing, when it is its turn.
    :param epoch: returns the epoch that the front has claimed; 0 if it has none.
    """

    def __init__(
        self,
        node_id: str,
        url: str,
        key: str | ClusterKeys,
        cluster: Callable[[], str],
        connections: NodeConnections,
        clock: IReactorTime,
        patience_s: float,
        epoch: Callable[[], int] = int,
    ) -> None:
        self._node_id = node_id
        self._origin = parse_origin(url)
        keys = ClusterKeys([key]) if isinstance(key, str) else key
        self._greet = greeting(node_id, keys, cluster)
        self._http = connections.client(self._origin, self._greet)
        self._cluster = cluster
        self._connections = connections
        self._epoch = epoch
        self._patience = Patience(clock, patience_s)
        self._clock = clock
        self._link = self._make_link()
        self._journal: ReferenceType[JournalLink] | None = None
        connections.renewable(self)

    def _make_link(self) -> Link:
        return Link(self._connect_link, self._clock, self._patience, self._epoch, self._node_id)

    def renew(self) -> None:
        """Use new connections from now on; see `IRenewable`."""
        link, self._link = self._link, self._make_link()
        link.retire()
        journal = self._journal() if self._journal is not None else None
        if journal is not None:
            journal.cut(NodeUnavailable("the connection is made anew, because the cluster key has changed"))

    def retire(self) -> None:
        """Close the connections when they are idle; see `IRemoteStore.retire`."""
        self._link.retire()
        self._http.retire()

    def end_waits(self, since: float, problem: NodeUnavailable) -> None:
        """End pending waits; see `IRemoteStore.end_waits`."""
        self._patience.end_waits(since, problem)

    def _headers(self, **more: str) -> dict[bytes | str, bytes | str]:
        headers: dict[bytes | str, bytes | str] = {}
        headers.update(self._identity())
        headers.update(more)
        return headers

    def _identity(self) -> dict[str, str]:
        identity = {
            wire.NODE_HEADER: self._node_id,
            wire.CLUSTER_HEADER: self._cluster(),
            wire.EPOCH_HEADER: str(self._epoch()),
        }
        requests = present_requests()
        if requests:
            identity[wire.REQUESTS_HEADER] = requests
        return identity

    def create(self, part_id: str, stored_size: int | None) -> Deferred[IPartWriter]:
        """Begin a part; see `IPartStore.create`.  An error of the node may be reported by `when_broken` only."""
        return self._named(Deferred.fromCoroutine(self._create(part_id, stored_size)))

    async def _create(self, part_id: str, stored_size: int | None) -> IPartWriter:
        check_part_id(part_id)
        writer = RemotePartWriter(
            self._node_id, part_id, stored_size, patience=self._patience, window=self._connections.window
        )
        headers = self._headers(**{"Content-Type": wire.PART_TYPE})
        writer.answered(self._http.request("PUT", wire.part_path(part_id), headers, writer))
        try:
            await writer.connected
        except BaseException:
            await writer.abort()
            raise
        return writer

    def open(self, part_id: str, span: Span | None) -> Deferred[IPartReader]:
        """Open a part for reading; see `IPartStore.open`."""
        return self._in_time(self._open(part_id, span))

    async def _open(self, part_id: str, span: Span | None) -> IPartReader:
        check_part_id(part_id)
        if span is not None and not 0 <= span.start < span.stop:
            raise BadSpan(f"part {part_id}: no bytes {span.start} to {span.stop}")
        window = self._connections.window
        window.enter()
        try:
            response = await self._ask_for_part(part_id, span)
        except BaseException:
            window.leave()
            raise
        length = _length(response)
        asked, stored_size = _content_range(response) or (None, length)
        reader = RemotePartReader(self._node_id, part_id, stored_size, length, patience=self._patience, window=window)
        response.deliverBody(reader)
        if span is not None and asked != span:
            reader.close()
            raise BadSpan(f"part {part_id}: no bytes {span.start} to {span.stop}")
        return reader

    async def _ask_for_part(self, part_id: str, span: Span | None) -> Any:
        headers = self._headers() if span is None else self._headers(Range=format_range(span))
        response = await self._ask("GET", wire.part_path(part_id), headers)
        if response.code != (200 if span is None else 206):
            await read_all(response)
            raise error_of(response)
        return response

    def stat(self, part_id: str) -> Deferred[PartInfo]:
        """Look up a part; see `IPartStore.stat`."""
        return self._in_time(self._stat(part_id))

    async def _stat(self, part_id: str) -> PartInfo:
        check_part_id(part_id)
        response = await self._ask("HEAD", wire.part_path(part_id), self._headers())
        await read_all(response)
        if response.code != 200:
            raise error_of(response)
        return part_info(part_id, response)

    def put_all(self, parts: Sequence[tuple[str, bytes]]) -> Deferred[list[PartInfo | StoragedError]]:
        """Store small parts; see `ISmallPartStore.put_all`."""
        return self._link.put_all(parts)

    def get_all(self, part_ids: Sequence[str]) -> Deferred[list[bytes | StoragedError]]:
        """Read small parts; see `ISmallPartStore.get_all`."""
        return self._link.get_all(part_ids)

    def remove_all(self, part_ids: Sequence[str]) -> Deferred[list[bool | StoragedError]]:
        """Delete parts; see `ISmallPartStore.remove_all`."""
        return self._link.remove_all(part_ids)

    def remove(self, part_id: str) -> Deferred[bool]:
        """Delete a part; see `IPartStore.remove`."""
        return self.remove_all([part_id]).addCallback(_only)

    def trash(self, part_id: str) -> Deferred[bool]:
        """Move a part to the trash; see `IPartStore.trash`."""
        return self._in_time(self._trash(part_id))

    async def _trash(self, part_id: str) -> bool:
        check_part_id(part_id)
        response = await self._ask("POST", wire.trash_path(part_id), self._headers())
        await read_all(response)
        if response.code == 204:
            return True
        if response.code == 404 and not response.headers.hasHeader(wire.ERROR_HEADER):
            return False
        raise error_of(response)

    def _connect_link(self, protocol: LinkClient) -> Deferred[None]:
        return self._in_time(self._upgrade(protocol))

    async def _upgrade(
        self, protocol: IProtocol, path: str = wire.LINK_PATH, name: str = wire.LINK_PROTOCOL, *, lasting: bool = False
    ) -> None:
        try:
            await self._connections.upgrade(
                self._origin, path, self._identity(), name, protocol, greet=self._greet, lasting=lasting
            )
        except CancelledError:
            raise
        except NotUpgraded as problem:
            raise wire.parse_error(problem.status, problem.headers.get(wire.ERROR_HEADER.lower())) from problem
        except Exception as problem:
            raise failure_of(problem) from problem

    def claim(self, claim: Claim) -> Deferred[Standing]:
        """Claim an epoch; see `IJournalHolder.claim`."""
        return self._in_time(self._claim(claim))

    async def _claim(self, claim: Claim) -> Standing:
        headers = self._headers(**{wire.CLAIM_HEADER: encode_json(claim).decode("ascii")})
        response = await self._ask("POST", wire.EPOCH_PATH, headers)
        body = await read_all(response)
        if response.code != 200:
            raise error_of(response)
        return decode_standing(body)

    def connect_journal(self, link: JournalLink) -> Deferred[None]:
        """Connect a journal's link; see `IJournalHolder.connect_journal`."""
        self._journal = ref(link)
        return self._in_time(self._upgrade(link, wire.JOURNAL_PATH, wire.JOURNAL_PROTOCOL, lasting=True))

    def list_parts(self, after: str, limit: int) -> Deferred[list[PartInfo]]:
        """List parts; see `IPartStore.list_parts`."""
        return self._in_time(self._list(after, limit))

    async def _list(self, after: str, limit: int) -> list[PartInfo]:
        return wire.decode_parts(await self._get_json(wire.list_path(quote(after, safe=""), limit)))

    def look_all(self, part_ids: Sequence[str]) -> Deferred[list[PartLook | StoragedError]]:
        """Look at parts; see `IPartChecks.look_all`."""
        return self._in_time(self._look_all(part_ids)).addCallback(self._name_all)

    async def _look_all(self, part_ids: Sequence[str]) -> list[PartLook | StoragedError]:
        wire.check_look(len(part_ids))
        return wire.decode_looks(await self._post_json(wire.LOOK_PATH, wire.encode_asked(part_ids)), part_ids)

    def rotten(self, after: str, limit: int) -> Deferred[list[RottenPart]]:
        """List the rotten parts; see `IPartChecks.rotten`."""
        return self._in_time(self._rotten(after, limit))

    async def _rotten(self, after: str, limit: int) -> list[RottenPart]:
        return wire.decode_rotten(await self._get_json(wire.rotten_path(quote(after, safe=""), limit)))

    def pause_scrub(self, *, paused: bool) -> Deferred[Scrub]:
        """Pause the scrub, or resume it; see `IPartChecks.pause_scrub`."""
        return self._in_time(self._pause_scrub(paused))

    async def _pause_scrub(self, paused: bool) -> Scrub:
        try:
            return wire.decode_scrub(await self._post_json(wire.SCRUB_PATH, wire.encode_pause(paused=paused)))
        except BadRequest as problem:
            raise NodeUnavailable("its version of storaged cannot pause the scrub") from problem

    def info(self) -> Deferred[NodeInfo]:
        """Describe the node and its room; see `IPartStore.info`."""
        return self._in_time(self._info())

    async def _info(self) -> NodeInfo:
        return wire.decode_node(await self._get_json(wire.NODE_PATH))

    async def _get_json(self, path: str) -> bytes:
        return await self._read_json(await self._ask("GET", path, self._headers()))

    async def _post_json(self, path: str, document: bytes) -> bytes:
        headers = self._headers(**{"Content-Type": "application/json"})
        return await self._read_json(await self._ask("POST", path, headers, WholeBody(document)))

    @staticmethod
    async def _read_json(response: Any) -> bytes:
        body = await read_all(response)
        if response.code != 200:
            raise error_of(response)
        return body

    def _in_time(self, asking: Coroutine[Deferred[Any], Any, _Answer]) -> Deferred[_Answer]:
        return self._named(self._patience.limit(asking, f"no answer in {self._patience.seconds:g} s"))

    def _named(self, answer: Deferred[_Answer]) -> Deferred[_Answer]:
        """Return the same Deferred, whose errors name the node."""

        def failed(failure: Failure) -> Failure:
            if isinstance(failure.value, StoragedError):
                failure.value.on(self._node_id)
            return failure

        return answer.addErrback(failed)

    def _name_all(self, outcomes: list[_Answer | StoragedError]) -> list[_Answer | StoragedError]:
        """Return the same outcomes; their errors name the node."""
        for outcome in outcomes:
            if isinstance(outcome, StoragedError):
                outcome.on(self._node_id)
        return outcomes

    async def _ask(
        self, method: str, path: str, headers: dict[bytes | str, bytes | str], body: IBodyProducer | None = None
    ) -> Any:
        try:
            return await cancellable(self._http.request(method, path, headers, body))
        except CancelledError:
            raise
        except Exception as problem:
            raise failure_of(problem) from problem


def _length(response: Any) -> int:
    """Return the size of an answer's body in bytes; `sys.maxsize` if the answer does not announce it."""
    length = response.length
    return length if isinstance(length, int) else sys.maxsize


def _content_range(response: Any) -> tuple[Span, int] | None:
    """Return the span that an answer carries, and the size of the whole; None if it names none."""
    try:
        return parse_content_range((response.headers.getRawHeaders("Content-Range") or [""])[0])
    except ValueError:
        return None


def _only(outcomes: list[bool | StoragedError]) -> bool:
    [outcome] = outcomes
    if isinstance(outcome, StoragedError):
        raise outcome
    return outcome
