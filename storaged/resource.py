"""The server side of the part protocol: one leaf resource.  The protocol's page is docs/part-protocol.md."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IConsumer

from storaged.http import (
    BodyBroken,
    BodyTooLong,
    IDrainingProtocol,
    IRequest,
    Parameters,
    StreamingResource,
    can_send_file,
    read_whole,
    reason_of,
    receive_body,
    send_body,
    send_file,
    split_target,
    upgrade,
)
from storaged.identity import Identity
from storaged.journals.link import JournalLinkServer
from storaged.journals.store import Journals
from storaged.link import LinkServer
from storaged.parts import journals, messages, proofs, wire
from storaged.parts.errors import BadRequest, BadSpan, NodeUnavailable, StoragedError
from storaged.parts.interfaces import INodeStore, IPartReader
from storaged.parts.values import PartInfo
from storaged.system.descriptors import Shortage
from storaged.system.ranges import Span, Unsatisfiable, format_content_range, parse_range
from storaged.system.read_ahead import ReadAhead

_EXACT_RANGE = re.compile(r"\Abytes=([0-9]{1,18})-([0-9]{1,18})\Z")

_NUMBER = re.compile(r"[0-9]{1,18}")
_JOURNAL = frozenset({wire.EPOCH_PATH, wire.JOURNAL_PATH, wire.SNAPSHOT_PATH})


class PartResource(StreamingResource):
    """Answers every request to a node.

    :param store: the parts of the node.
    :param identity: the identity of the node.
    :param key: the cluster key, or the valid ones, one of which a front must prove on its connection.
    :param read_ahead: reads files into memory before the kernel sends them.
    :param journals: the epoch, and the copy of the front's journal.
    :param doubt: called with the id of a part that could not be read to its end, though the client waited for it.
    :param log: logs the requests of links; see `LinkServer`.
    """

    def __init__(
        self,
        store: INodeStore,
        identity: Identity,
        key: str | proofs.ClusterKeys,
        read_ahead: ReadAhead,
        journals: Journals,
        doubt: Callable[[str], object],
        log: Callable[[messages.Request], Callable[[int], None]] | None = None,
    ) -> None:
        super().__init__()
        self._store = store
        self._identity = identity
        self._keys = proofs.ClusterKeys([key]) if isinstance(key, str) else key
        self._read_ahead = read_ahead
        self._journals = journals
        self._doubt = doubt
        self._log_link = log

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""
        try:
            await self._dispatch(request)
        except BodyBroken:
            raise
        except StoragedError as problem:
            _refuse(request, problem)
        except Exception as problem:
            self._log.failure("{method} {uri}", method=request.method, uri=request.uri)
            _refuse(request, NodeUnavailable(reason_of(problem)))

    async def _dispatch(self, request: IRequest) -> None:
        method = request.method.decode("ascii", "replace")
        path, parameters = split_target(request.uri)
        if path == "/health" and method in {"GET", "HEAD"}:
            _answer(request, 200, b"ok\n", "text/plain")
            return
        if path == wire.PROOF_PATH and method == "GET":
            self._prove(request)
            return
        self._check_access(request, method, path)
        joining = self._identity.check(request.getHeader(wire.NODE_HEADER), request.getHeader(wire.CLUSTER_HEADER))
        if joining is not None:
            await joining
        document = await self._document(request, method, path, parameters)
        if document is not None:
            _answer(request, 200, document, "application/json")
        elif path == wire.SESSION_PATH and method == "POST":
            _answer(request, 200, b"", "")
        elif path == wire.LINK_PATH and method == "GET":
            self._link(request)
        elif path.startswith(wire.PARTS_PATH + "/"):
            await self._part(request, method, path.removeprefix(wire.PARTS_PATH + "/"))
        elif path.startswith(wire.TRASH_PATH + "/") and method == "POST":
            self._check_epoch(request)
            found = await self._store.trash(path.removeprefix(wire.TRASH_PATH + "/"))
            _answer(request, 204 if found else 404, b"", "")
        elif path in _JOURNAL:
            await self._journal(request, method, path, parameters)
        else:
            raise BadRequest(f"{method} {path}: not in the part protocol")

    def _check_epoch(self, request: IRequest) -> None:
        """Refuse a change of a front that another one has taken over from.

        :raise TakenOver: the node has accepted a higher epoch than that of the request.
        """
        self._journals.epochs.check(wire.parse_epoch(request.getHeader(wire.EPOCH_HEADER)))

    async def _journal(self, request: IRequest, method: str, path: str, parameters: Parameters) -> None:
        if path == wire.EPOCH_PATH and method == "POST":
            claim = journals.decode_claim((request.getHeader(wire.CLAIM_HEADER) or "").encode("ascii", "replace"))
            standing = await self._journals.claim(claim, self._identity.cluster)
            _answer(request, 200, journals.encode_json(standing), "application/json")
        elif path == wire.EPOCH_PATH and method == "GET":
            standing = await self._journals.look(self._identity.cluster, copy=bool(_number(parameters, "look")))
            _answer(request, 200, journals.encode_json(standing), "application/json")
        elif path == wire.JOURNAL_PATH and method == "GET" and request.getHeader("Upgrade") is not None:
            self._upgrade(request, wire.JOURNAL_PROTOCOL, JournalLinkServer(self._journals))
        elif path == wire.JOURNAL_PATH and method == "GET":
            _answer(request, 200, await self._journals.read(_number(parameters, "from")), "text/plain")
        elif path == wire.SNAPSHOT_PATH and method == "GET":
            _answer(request, 200, await self._journals.read_snapshot(_number(parameters, "offset")), "text/plain")
        else:
            raise BadRequest(f"{method} {path}: not in the part protocol")

    def _prove(self, request: IRequest) -> None:
        challenge = proofs.Challenge(
            proofs.check_nonce(request.getHeader(wire.NONCE_HEADER)), os.urandom(proofs.NONCE_BYTES).hex()
        )
        request.know(challenge)
        node = self._identity.node_id
        proof = wire.Proof(challenge.node_nonce, node, proofs.prove_node(self._keys, challenge, node))
        _answer(request, 200, wire.encode_proof(proof), "application/json")

    def _check_access(self, request: IRequest, method: str, path: str) -> None:
        """Check that the front has proven on this connection that it knows a cluster key, or carries it.

        :raise AccessDenied: it has not.
        """
        known = request.known
        if isinstance(known, proofs.Session) and self._keys.has(known.key):
            return
        header = request.getHeader("Authorization") or ""
        if path == wire.SESSION_PATH and method == "POST":
            request.know(None)  # a challenge is for one try
            challenge = known if isinstance(known, proofs.Challenge) else None
            cluster = request.getHeader(wire.CLUSTER_HEADER) or ""
            request.know(proofs.check_front(self._keys, challenge, header, self._identity.node_id, cluster))
        else:
            wire.check_key(header, self._keys)

    def _link(self, request: IRequest) -> None:
        self._upgrade(request, wire.LINK_PROTOCOL, LinkServer(self._store, self._journals.epochs.check, self._log_link))

    def _upgrade(self, request: IRequest, protocol: str, server: IDrainingProtocol) -> None:
        asked = request.getHeader("Upgrade")
        if asked != protocol:
            raise BadRequest(f"Upgrade {asked!r}: a link speaks {protocol}")
        upgrade(request, protocol, server)

    async def _document(self, request: IRequest, method: str, path: str, parameters: Parameters) -> bytes | None:
        """Return the JSON that a request asks for; None if it asks for something else."""
        if (method, path) == ("GET", wire.NODE_PATH):
            return wire.encode_node(await self._store.info())
        if (method, path) == ("GET", wire.PARTS_PATH):
            return wire.encode_parts(await self._store.list_parts(*_page(parameters)))
        if (method, path) == ("GET", wire.ROTTEN_PATH):
            return wire.encode_rotten(await self._store.rotten(*_page(parameters)))
        if (method, path) == ("POST", wire.LOOK_PATH):
            try:
                asked = wire.decode_asked(await read_whole(request, wire.LOOK_BODY_LIMIT))
            except BodyTooLong as problem:
                raise BadRequest(f"a look at parts: {problem}") from problem
            return wire.encode_looks(await self._store.look_all(asked))
        if (method, path) == ("POST", wire.SCRUB_PATH):
            self._check_epoch(request)
            try:
                paused = wire.decode_pause(await read_whole(request, wire.SCRUB_BODY_LIMIT))
            except BodyTooLong as problem:
                raise BadRequest(f"a pause of the scrub: {problem}") from problem
            return wire.encode_scrub(await self._store.pause_scrub(paused=paused))
        return None

    async def _part(self, request: IRequest, method: str, part_id: str) -> None:
        if method == "PUT":
            await self._put(request, part_id)
        elif method == "GET":
            await self._get(request, part_id)
        elif method == "HEAD":
            _answer(request, 200, b"", wire.PART_TYPE, await self._store.stat(part_id))
        elif method == "DELETE":
            self._check_epoch(request)
            found = await self._store.remove(part_id)
            _answer(request, 204 if found else 404, b"", "")
        else:
            raise BadRequest(f"{method} of a part: not in the part protocol")

    async def _put(self, request: IRequest, part_id: str) -> None:
        self._check_epoch(request)
        writer = await self._store.create(part_id, request.body.length)
        try:
            await receive_body(request, IConsumer(writer), writer.when_broken())
            info = await writer.finish()
        except BaseException:
            await writer.abort()
            raise
        _answer(request, 201, b"", "", info)

    async def _open(self, part_id: str, asked: str | None) -> tuple[IPartReader, Span | None]:
        if asked is None:
            return await self._store.open(part_id, None), None
        exact = _EXACT_RANGE.match(asked)
        if exact is not None:
            # The front asks in this form; the part's size need not be known first.
            span = Span(int(exact[1]), int(exact[2]) + 1)
            with suppress(BadSpan):
                return await self._store.open(part_id, span), span
        try:
            cut = parse_range(asked, (await self._store.stat(part_id)).stored_size)
        except Unsatisfiable as problem:
            raise BadSpan(f"part {part_id}: {problem}") from problem
        if cut is None:
            raise BadRequest(f"Range {asked!r}: not in the part protocol")
        return await self._store.open(part_id, cut), cut

    async def _get(self, request: IRequest, part_id: str) -> None:
        reader, span = await self._open(part_id, request.getHeader("Range"))
        try:
            _begin(request, reader.stored_size, span)
            await self._send(request, reader)
            request.finish()
        except BodyBroken:
            raise
        except CancelledError:
            request.abort()
            raise
        except Exception:
            # Part of the answer may have been sent already; only a cut connection shows that the rest will not come.
            self._log.failure("reading part {part_id}", part_id=part_id)
            request.abort()
            self._doubt(part_id)
        finally:
            reader.close()

    async def _send(self, request: IRequest, reader: IPartReader) -> None:
        straight = reader.descriptor() if can_send_file(request) else None
        if straight is not None:
            with suppress(Shortage):  # `send_body` needs no more descriptors
                await send_file(request, *straight, self._read_ahead)
                return
        await send_body(request, lambda: reader.read().addCallback(_pieces))


def _number(parameters: Parameters, name: str) -> int:
    text = next(iter(parameters.values(name)), "0")
    if not _NUMBER.fullmatch(text):
        raise BadRequest(f"{name} {text!r}: should be a number")
    return int(text)


def _page(parameters: Parameters) -> tuple[str, int]:
    """Return which page of a list a request asks for: after which id, and how many at most.

    :raise BadRequest: the parameters name no page.
    """
    try:
        after = next(iter(parameters.values("after")), "")
        limit = int(next(iter(parameters.values("limit")), str(wire.LIST_LIMIT)))
    except ValueError as problem:
        raise BadRequest(f"a list of parts: {problem}") from problem
    if not 1 <= limit <= wire.LIST_LIMIT:
        raise BadRequest(f"limit {limit}: should be 1 to {wire.LIST_LIMIT}")
    return after, limit


def _pieces(data: bytes) -> Sequence[bytes]:
    return [data] if data else []


def _begin(request: IRequest, size: int, span: Span | None) -> None:
    request.setHeader("Content-Type", wire.PART_TYPE)
    if span is None:
        request.setHeader("Content-Length", str(size))
    else:
        request.setResponseCode(206)
        request.setHeader("Content-Length", str(len(span)))
        request.setHeader("Content-Range", format_content_range(span, size))
    request.write(b"")


def _answer(request: IRequest, status: int, body: bytes, kind: str, part: PartInfo | None = None) -> None:
    request.setResponseCode(status)
    if status != 204:
        request.setHeader("Content-Length", str(len(body)))
    if kind:
        request.setHeader("Content-Type", kind)
    if part is not None:
        request.setHeader(wire.STORED_HEADER, str(part.stored_size))
        request.setHeader(wire.MODIFIED_HEADER, str(part.modified_ms))
    request.write(body)
    request.finish()


def _refuse(request: IRequest, problem: StoragedError) -> None:
    if request.startedWriting:
        request.abort()
        return
    status, text = wire.format_error(problem)
    request.setHeader(wire.ERROR_HEADER, text)
    _answer(request, status, b"", "")
