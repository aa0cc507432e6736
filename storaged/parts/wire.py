"""The part protocol: its URLs, its headers, and its errors on the wire.  Its page is docs/part-protocol.md.

Pure: shared by the server (`storaged.resource`) and the client (`storaged.parts.client`), so that they cannot disagree.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec

from storaged.parts import errors
from storaged.parts.values import NodeInfo, PartInfo

PARTS_PATH = "/v1/parts"
TRASH_PATH = "/v1/trash"
NODE_PATH = "/v1/node"
LINK_PATH = "/v1/link"
PROOF_PATH = "/v1/proof"
EPOCH_PATH = "/v1/epoch"
JOURNAL_PATH = "/v1/journal"
SNAPSHOT_PATH = "/v1/journal/snapshot"
JOURNAL_PROTOCOL = "splitd-journal/1"
LINK_PROTOCOL = "splitd-link/1"
PART_TYPE = "application/vnd.splitd.part"

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


def check_key(header: str | None, key: str) -> None:
    """Compare the key of a request with the cluster's, in constant time.

    :raise AccessDenied: the key is missing or wrong.
    """
    if not hmac.compare_digest((header or "").encode("utf-8", "surrogatepass"), format_key(key).encode()):
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


class _Node(msgspec.Struct):
    id: str
    cluster: str
    capacity: int
    free: int
    reserve: int = 0  # older nodes report neither this nor the volume
    volume: str = ""


class Proof(msgspec.Struct, frozen=True):
    """A node's proof that it knows the cluster key, and the nonce for the front's own; see `storaged.parts.proofs`."""

    nonce: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    proof: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


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
    return msgspec.json.encode(_Node(node.node_id, node.cluster, node.capacity, node.free, node.reserve, node.volume))


def decode_node(body: bytes) -> NodeInfo:
    """Decode the description of a node.

    :raise NodeUnavailable: the body is not the description of a node.
    """
    node = _decode(body, _Node)
    return NodeInfo(node.id, node.cluster, node.capacity, node.free, node.reserve, node.volume)


def _decode(body: bytes, kind: type[_Message]) -> _Message:
    try:
        return msgspec.json.decode(body, type=kind)
    except PROTOCOL_FAULTS as problem:
        raise errors.NodeUnavailable(f"answered what is not the part protocol: {problem}") from problem
