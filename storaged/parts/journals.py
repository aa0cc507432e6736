"""Epochs and copies of a journal, as the front and a node speak of them.  Pure.  The page is docs/part-protocol.md.

A node knows neither names nor records: to it a record is a line with a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import msgspec

from storaged.parts.errors import BadRequest, NodeUnavailable
from storaged.parts.wire import PROTOCOL_FAULTS

MAX_LINES = 4 * 1024 * 1024
"""The most bytes of lines in one message, unless a single line has more."""

MAX_PIECE = 256 * 1024
"""The most bytes of a snapshot in one message."""

MAX_READ = 2 * 1024 * 1024
"""About the most bytes in one answer to a read."""

_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Front = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
_Run = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]


class Roster(msgspec.Struct, frozen=True, forbid_unknown_fields=True, order=True):
    """The holders whose copies count.  The order of rosters is that of (epoch, generation).

    :param epoch: the epoch of the front that made the roster.
    :param generation: one more than that of the roster before it.
    :param copies: how many copies are wanted.
    :param holders: the ids of the holders; each acknowledged record is on a quorum of them.
    """

    epoch: _Number
    generation: _Number
    copies: _Number
    holders: tuple[str, ...]


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A front's claim that an epoch is its own, or the renewal of one.

    :param epoch: the epoch.
    :param front: the id of the journal's folder that the front runs on.
    :param run: the id of the process, by which a renewal is told from the claim of a copy of the folder.
    :param after: the highest epoch that the claim may replace.
    :param any_front: whether it may replace an epoch of a different front.
    :param roster: the front's roster, for the node to keep; None to keep the one it has.
    :param look: whether the answer shall describe the node's copy.
    """

    epoch: _Number
    front: _Front
    run: _Run
    after: _Number
    any_front: bool = False
    roster: Roster | None = None
    look: bool = False


class Run(msgspec.Struct, frozen=True, array_like=True):
    """Records that follow each other, and that fronts of one epoch appended: the numbers of the first and the last."""

    epoch: _Number
    first: _Number
    last: _Number


class CopyState(msgspec.Struct, frozen=True):
    """A node's copy of a journal.

    :param next: the number of the record that comes after its last one; 1 if it is empty.
    :param snapshot: the number of the record before which its snapshot was made; 0 if it has none.
    :param snapshot_epoch: the epoch of the last record in the snapshot.
    :param snapshot_size: the bytes of the snapshot.
    :param runs: its records after the snapshot.
    :param damage: why it cannot be used; empty if it can.
    """

    next: _Number = 1
    snapshot: _Number = 0
    snapshot_epoch: _Number = 0
    snapshot_size: _Number = 0
    runs: tuple[Run, ...] = ()
    damage: str = ""

    def all_runs(self) -> tuple[Run, ...]:
        """Return its runs; the last record of the snapshot counts as a run of its own."""
        if not self.snapshot:
            return self.runs
        return (Run(self.snapshot_epoch, self.snapshot - 1, self.snapshot - 1), *self.runs)

    @property
    def last_epoch(self) -> int:
        """The epoch of its last record; 0 if it is empty."""
        runs = self.all_runs()
        return runs[-1].epoch if runs else 0


class Standing(msgspec.Struct, frozen=True):
    """What a node has accepted.

    :param epoch: the highest epoch; 0 if there was none.
    :param front: the front that claimed it.
    :param roster: the newest roster.
    :param cluster: the cluster of the node.
    :param copy: its copy of the journal, if the claim asked for it.
    """

    epoch: _Number = 0
    front: str = ""
    roster: Roster | None = None
    cluster: str = ""
    copy: CopyState | None = None


class Open(msgspec.Struct, array_like=True, tag="open", frozen=True, gc=False):
    """Begin to write the copy; every other connection loses it.  The answer describes the copy."""

    number: int
    epoch: _Number
    front: _Front
    run: _Run


class Trim(msgspec.Struct, array_like=True, tag="trim", frozen=True, gc=False):
    """Drop the records from `next` on; with 0, drop all of the copy."""

    number: int
    next: _Number


class Append(msgspec.Struct, array_like=True, tag="append", frozen=True, gc=False):
    """Append lines, whose first one is that of record `first`, and which fronts of one epoch made."""

    number: int
    epoch: _Number
    first: _Number
    count: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    lines: bytes


class Piece(msgspec.Struct, array_like=True, tag="piece", frozen=True, gc=False):
    """The next bytes of a snapshot of `size` bytes; with its last piece, it replaces all records before `upcoming`.

    :param epoch: the epoch of the record before `upcoming`.
    """

    number: int
    upcoming: Annotated[int, msgspec.Meta(ge=2, le=2**63 - 1)]
    epoch: _Number
    offset: _Number
    size: _Number
    data: bytes


Request: TypeAlias = Open | Trim | Append | Piece


class Answer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The answer to a request.

    :param next: the number after that of the last durable record.
    :param problem: the error as `storaged.parts.wire` formats it; empty if there was none.
    :param state: the copy, for `Open`.
    """

    number: int
    next: int
    problem: str = ""
    state: CopyState | None = None


_packer = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
_claims: msgspec.json.Decoder[Claim] = msgspec.json.Decoder(Claim)
_standings: msgspec.json.Decoder[Standing] = msgspec.json.Decoder(Standing)

encode = _packer.encode
"""Encodes a message of a journal's link, without its length."""

encode_json = msgspec.json.encode
"""Encodes a `Claim` or a `Standing`."""


def decode_request(data: bytes) -> Request:
    """Decode a request.

    :raise BadRequest: the bytes are not a request.
    """
    try:
        return _requests.decode(data)
    except PROTOCOL_FAULTS as problem:
        raise BadRequest(f"not a message of a journal's link: {problem}") from problem


def decode_answer(data: bytes) -> Answer:
    """Decode an answer.

    :raise NodeUnavailable: the bytes are not an answer.
    """
    try:
        return _answers.decode(data)
    except PROTOCOL_FAULTS as problem:
        raise NodeUnavailable(f"answered what is not a message of a journal's link: {problem}") from problem


def decode_claim(body: bytes) -> Claim:
    """Decode a claim.

    :raise BadRequest: the bytes are not a claim.
    """
    try:
        return _claims.decode(body)
    except PROTOCOL_FAULTS as problem:
        raise BadRequest(f"not a claim: {problem}") from problem


def decode_standing(body: bytes) -> Standing:
    """Decode the answer to a claim.

    :raise NodeUnavailable: the bytes are not one.
    """
    try:
        return _standings.decode(body)
    except PROTOCOL_FAULTS as problem:
        raise NodeUnavailable(f"answered what is not the part protocol: {problem}") from problem


def extend(runs: Sequence[Run], epoch: int, first: int, count: int) -> tuple[Run, ...]:
    """Return the runs with `count` more records at their end."""
    last = first + count - 1
    if runs and runs[-1].epoch == epoch:
        return (*runs[:-1], Run(epoch, runs[-1].first, last))
    return (*runs, Run(epoch, first, last))


def cut(runs: Sequence[Run], upcoming: int) -> tuple[Run, ...]:
    """Return the runs without the records from `upcoming` on."""
    return tuple(Run(run.epoch, run.first, min(run.last, upcoming - 1)) for run in runs if run.first < upcoming)


def agreement(ours: Sequence[Run], theirs: Sequence[Run]) -> int:
    """Return the number of the last record that two journals have in common; 0 if they have none.

    In an epoch only one front appends, so a record is the same in both if its number and its epoch are; then all
    records before it are the same, too (Raft, section 5.3; Kafka, KIP-101).
    """
    common = 0
    for our in ours:
        for their in theirs:
            if our.epoch == their.epoch:
                last = min(our.last, their.last)
                if last >= max(our.first, their.first):
                    common = max(common, last)
    return common
