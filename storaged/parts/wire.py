"""The part protocol: its URLs, its headers, and its errors on the wire.  Its page is docs/part-protocol.md.

Pure: shared by the server (`storaged.resource`) and the client (`storaged.parts.client`), so that they cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, TypeVar

import attrs
import msgspec

from storaged.parts import errors
from storaged.parts.proofs import ClusterKeys
from storaged.parts.values import NodeInfo, PartInfo, PartLook, RottenPart, Scrub

PARTS_PATH = "/v1/parts"
TRASH_PATH = "/v1/trash"
NODE_PATH = "/v1/node"
LOOK_PATH = "/v1/look"
ROTTEN_PATH = "/v1/rotten"
SCRUB_PATH = "/v1/scrub"
LINK_PATH = "/v1/link"
PROOF_PATH = "/v1/proof"
SESSION_PATH = "/v1/session"
EPOCH_PATH = "/v1/epoch"
JOURNAL_PATH = "/v1/journal"
SNAPSHOT_PATH = "/v1/journal/snapshot"
JOURNAL_PROTOCOL = "splitd-journal/1"
LINK_PROTOCOL = "splitd-link/1"
PART_TYPE = "application/vnd.splitd.part"

REQUESTS_HEADER = "Splitd-Requests"
"""Names the requests of clients on whose behalf a request is made, for the node's log; a node need not know it."""

NODE_HEADER = "Splitd-Node"
"""The id of the node that the request is meant for."""

CLUSTER_HEADER = "Splitd-Cluster"
"""The id of the cluster whose front sends the request.  A node keeps the first it gets, and refuses any other."""

EPOCH_HEADER = "Splitd-Epoch"
"""The epoch of the front that sends the request; 0 if it is missing.  A node refuses changes of an older one."""

CLAIM_HEADER = "Splitd-Claim"
"""The claim of an epoch, in JSON; see `storaged.parts.journals`."""

NONCE_HEADER = "Splitd-Nonce"
"""The nonce of a front that asks a node to prove its key; see `storaged.parts.proofs`."""

ERROR_HEADER = "Splitd-Error"
"""The name of the error and its message.  Error answers have no body, because the front may still be sending."""

STORED_HEADER = "Splitd-Stored"
"""The size of a part in stored bytes."""

MODIFIED_HEADER = "Splitd-Modified-Ms"
"""When a part was stored, milliseconds since 1970."""

LIST_LIMIT = 10_000
LOOK_LIMIT = 250
"""The most parts that one request looks at: on a slow disk each may take some milliseconds."""

LOOK_BODY_LIMIT = 64 * 1024
"""The most bytes of the body of such a request."""

SCRUB_BODY_LIMIT = 1024
"""The most bytes of the body of a request that pauses the scrub."""

_MESSAGE_LIMIT = 500
_EPOCH = re.compile(r"[0-9]{1,18}")
_Message = TypeVar("_Message")

PROTOCOL_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The errors of a decoder whose input is not what it decodes."""

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")

STATUS: dict[type[errors.StoragedError], int] = {
    errors.BadRequest: 400,
    errors.BadPart: 422,
    errors.AccessDenied: 401,
    errors.PartMissing: 404,
    errors.PartExists: 409,
    errors.TakenOver: 409,
    errors.BadSpan: 416,
    errors.WrongNode: 421,
    errors.PartDamaged: 500,
    errors.NodeUnavailable: 503,
    errors.NoSpace: 507,
}
_BY_NAME = {kind.__name__: kind for kind in STATUS}


def part_path(part_id: str) -> str:
    """Return the path of a part's URL."""
    return f"{PARTS_PATH}/{part_id}"


def trash_path(part_id: str) -> str:
    """Return the path of the URL that moves a part to the trash."""
    return f"{TRASH_PATH}/{part_id}"


def list_path(after: str, limit: int) -> str:
    """Return the path and query of a page of the list of parts.

    :param after: percent-encoded if it is not a part id.
    """
    return f"{PARTS_PATH}?after={after}&limit={limit}"


def rotten_path(after: str, limit: int) -> str:
    """Return the path and query of a page of the list of rotten parts.

    :param after: percent-encoded if it is not a part id.
    """
    return f"{ROTTEN_PATH}?after={after}&limit={limit}"


def format_error(error: errors.StoragedError) -> tuple[int, str]:
    """Return an error's status and the value of its `Splitd-Error` header, in printable ASCII."""
    message = _UNPRINTABLE.sub("?", str(error))[:_MESSAGE_LIMIT]
    return STATUS[type(error)], f"{type(error).__name__}: {message}".rstrip()  # HTTP strips a header's value


def parse_error(status: int, header: str | None) -> errors.StoragedError:
    """Return the error of an answer; `NodeUnavailable` if its header does not name an error of this status."""
    text = header or ""
    kind = _BY_NAME.get(text.partition(":")[0])
    if kind is None or STATUS[kind] != status:
        return errors.NodeUnavailable(f"answered {status} {text}".rstrip())
    return parse_error_text(text)


def parse_error_text(text: str) -> errors.StoragedError:
    """Return the error that the value of a `Splitd-Error` header names; `NodeUnavailable` if it names none."""
    name, _, message = text.partition(":")
    kind = _BY_NAME.get(name)
    if kind is None:
        return errors.NodeUnavailable(f"answered {text!r}")
    return kind(message.removeprefix(" "))


def format_key(key: str) -> str:
    """Format the `Authorization` header that carries the cluster key."""
    return f"Bearer {key}"


def check_key(header: str | None, keys: ClusterKeys) -> None:
    """Compare the key that a request carries with those of the cluster, in constant time.

    :raise AccessDenied: the key is missing or wrong.
    """
    scheme = format_key("")
    if header is None or not header.startswith(scheme) or not keys.has(header.removeprefix(scheme)):
        raise errors.AccessDenied("the cluster key is missing or wrong")


def parse_epoch(header: str | None) -> int:
    """Read the header that carries a front's epoch; 0 if it is missing.

    :raise BadRequest: the header is not a number.
    """
    if header is None:
        return 0
    if not _EPOCH.fullmatch(header):
        raise errors.BadRequest(f"{EPOCH_HEADER} {header!r}: should be a number")
    return int(header)


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    stored: int
    modified_ms: int


class _Parts(msgspec.Struct, forbid_unknown_fields=True):
    parts: list[_Part]


class _Scrub(msgspec.Struct, omit_defaults=True, frozen=True):
    rotten: int = 0
    scrubbed_bytes: int = 0
    share: float = 0.0
    ended_ms: int = 0
    paused: bool = False


class _Pause(msgspec.Struct, forbid_unknown_fields=True):
    paused: bool


class _Node(msgspec.Struct):
    id: str
    cluster: str
    capacity: int
    free: int
    reserve: int = 0  # older nodes report neither this nor the volume, nor the scrub, nor the disk
    volume: str = ""
    scrub: _Scrub = _Scrub()
    disk: str = ""


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    parts: list[str]


class _Look(msgspec.Struct, omit_defaults=True):
    stored: int = 0
    unit: int = 0
    error: str = ""


class _Looks(msgspec.Struct):
    looks: list[_Look]


class _Rotten(msgspec.Struct):
    id: str
    reason: str
    found_ms: int


class _RottenParts(msgspec.Struct):
    rotten: list[_Rotten]


class Proof(msgspec.Struct, frozen=True):
    """A node's id, its proofs that it knows the cluster keys, and its nonce; see `storaged.parts.proofs`."""

    nonce: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    node: str
    proofs: Annotated[tuple[Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")], ...], msgspec.Meta(max_length=2)]


def encode_proof(proof: Proof) -> bytes:
    """Encode a proof as JSON."""
    return msgspec.json.encode(proof)


def decode_proof(body: bytes) -> Proof:
    """Decode a proof.

    :raise NodeUnavailable: the body is not a proof.
    """
    return _decode(body, Proof)


def encode_parts(parts: Sequence[PartInfo]) -> bytes:
    """Encode a page of the list of parts as JSON."""
    return msgspec.json.encode(_Parts([_Part(part.part_id, part.stored_size, part.modified_ms) for part in parts]))


def decode_parts(body: bytes) -> list[PartInfo]:
    """Decode a page of the list of parts.

    :raise NodeUnavailable: the body is not such a page.
    """
    return [PartInfo(part.id, part.stored, part.modified_ms) for part in _decode(body, _Parts).parts]


def encode_node(node: NodeInfo) -> bytes:
    """Encode the description of a node as JSON."""
    scrub = _Scrub(*attrs.astuple(node.scrub))
    return msgspec.json.encode(
        _Node(node.node_id, node.cluster, node.capacity, node.free, node.reserve, node.volume, scrub, node.disk)
    )


def decode_node(body: bytes) -> NodeInfo:
    """Decode the description of a node.

    :raise NodeUnavailable: the body is not the description of a node.
    """
    node = _decode(body, _Node)
    scrub = Scrub(*msgspec.structs.astuple(node.scrub))
    return NodeInfo(node.id, node.cluster, node.capacity, node.free, node.reserve, node.volume, scrub, node.disk)


def encode_pause(*, paused: bool) -> bytes:
    """Encode the body of a request that pauses the scrub, or resumes it."""
    return msgspec.json.encode(_Pause(paused))


def decode_pause(body: bytes) -> bool:
    """Decode the body of a request that pauses the scrub, or resumes it; return whether to pause it.

    :raise BadRequest: the body is no such request.
    """
    try:
        return msgspec.json.decode(body, type=_Pause).paused
    except PROTOCOL_FAULTS as problem:
        raise errors.BadRequest(f"a pause of the scrub: {problem}") from problem


def encode_scrub(scrub: Scrub) -> bytes:
    """Encode the state of the scrub as JSON."""
    return msgspec.json.encode(_Scrub(*attrs.astuple(scrub)))


def decode_scrub(body: bytes) -> Scrub:
    """Decode the state of the scrub.

    :raise NodeUnavailable: the body is no such state.
    """
    return Scrub(*msgspec.structs.astuple(_decode(body, _Scrub)))


def encode_asked(part_ids: Sequence[str]) -> bytes:
    """Encode the body of a request that looks at parts."""
    return msgspec.json.encode(_Asked(list(part_ids)))


def decode_asked(body: bytes) -> list[str]:
    """Decode the body of a request that looks at parts.

    :raise BadRequest: the body is not a list of at most `LOOK_LIMIT` ids.
    """
    try:
        parts = msgspec.json.decode(body, type=_Asked).parts
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise errors.BadRequest(f"a look at parts: {problem}") from problem
    check_look(len(parts))
    return parts


def check_look(count: int) -> None:
    """Refuse to look at too many parts at once.

    :raise BadRequest: `count` is more than `LOOK_LIMIT`.
    """
    if count > LOOK_LIMIT:
        raise errors.BadRequest(f"a look at {count} parts: at most {LOOK_LIMIT} are allowed")


def encode_looks(looks: Sequence[PartLook | errors.StoragedError]) -> bytes:
    """Encode the answer to a request that looks at parts."""
    return msgspec.json.encode(
        _Looks(
            [
                _Look(error=format_error(look)[1])
                if isinstance(look, errors.StoragedError)
                else _Look(look.stored_size, look.unit)
                for look in looks
            ]
        )
    )


def decode_looks(body: bytes, asked: Sequence[str]) -> list[PartLook | errors.StoragedError]:
    """Decode the answer to a request that looks at parts.

    :param asked: the ids in the request.
    :raise NodeUnavailable: the body is not an answer to it.
    """
    looks = _decode(body, _Looks).looks
    if len(looks) != len(asked):
        raise errors.NodeUnavailable(f"answered {len(looks)} looks at {len(asked)} parts")
    return [
        parse_error_text(look.error) if look.error else PartLook(part_id, look.stored, look.unit)
        for part_id, look in zip(asked, looks, strict=True)
    ]


def encode_rotten(parts: Sequence[RottenPart]) -> bytes:
    """Encode a page of the list of rotten parts as JSON."""
    return msgspec.json.encode(_RottenParts([_Rotten(part.part_id, part.reason, part.found_ms) for part in parts]))


def decode_rotten(body: bytes) -> list[RottenPart]:
    """Decode a page of the list of rotten parts.

    :raise NodeUnavailable: the body is not such a page.
    """
    return [RottenPart(part.id, part.reason, part.found_ms) for part in _decode(body, _RottenParts).rotten]


def _decode(body: bytes, kind: type[_Message]) -> _Message:
    try:
        return msgspec.json.decode(body, type=kind)
    except PROTOCOL_FAULTS as problem:
        raise errors.NodeUnavailable(f"answered what is not the part protocol: {problem}") from problem
