"""What crosses the socket between a worker and the catalog's process: frames of entries, and the form of errors.  Pure.

A frame is 4 bytes with its length, and a MessagePack array of entries, which were made in one turn of the reactor; if
these are very large together, there are several.  An entry is (number, what, body).

==============  ==================  =====================================
number          what                body
==============  ==================  =====================================
of a call       of its method       its arguments: a call
of a call       `CANCEL`            nil: the caller does not wait any more
of a call       `DONE`, `FAILED`    its result; its error: an answer
0               of a method         its arguments: nobody waits for an end
0               `VIEW`              what the catalog's process knows of the nodes
0               `ATTEMPT`           a login that another process judges
0               `END`               a resumable upload that another worker wants to use: its id, and the number of the
                                    request that has it
of a question   `ASK`, `RELOAD`     nil: what the catalog's process asks of a worker
==============  ==================  =====================================
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from splitd import errors

CANCEL, DONE, FAILED, VIEW, ASK, RELOAD, ATTEMPT, END = range(-1, -9, -1)
"""What an entry is that is no call; methods have numbers from 0."""

MAX_FRAME = 512 * 1024 * 1024
"""The most bytes of a frame: more than the longest answer takes, a page of 1,000 files with 10,000 segments each."""

_FULL = 16 * 1024 * 1024
"""A frame with so many bytes takes no further entry."""

Entry = tuple[int, int, msgspec.Raw]

_HEAD = struct.Struct(">I")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):  # of a kind that cannot be changed
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be sent")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_decoder = msgspec.msgpack.Decoder(list[Entry])

NOTHING = msgspec.Raw(_encoder.encode(None))


class WorkerFault(errors.SplitdError):
    """The other process has failed in a way that nobody has foreseen; its log has more."""


def encode(value: object) -> msgspec.Raw:
    """Return the form in which a value stands in an entry."""
    return msgspec.Raw(_encoder.encode(value))


def encode_frames(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Return frames with these entries: one, unless they are very large together."""
    some: list[Entry] = []
    size = 0
    for entry in entries:
        if size > _FULL:
            yield encode_frame(some)
            some, size = [], 0
        some.append(entry)
        size += memoryview(entry[2]).nbytes
    if some:
        yield encode_frame(some)


def encode_frame(entries: Sequence[Entry]) -> bytes:
    """Return a frame with these entries."""
    body = _encoder.encode(list(entries))
    return _HEAD.pack(len(body)) + body


class Frames:
    """Cuts a stream of bytes into the entries of its frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[list[Entry]]:
        """Take bytes, and iterate over the entries of each frame that is complete.

        :raise ValueError: the bytes are no frames.
        """
        buffer = self._buffer
        buffer += data
        position, head = 0, _HEAD.size
        try:
            while len(buffer) >= position + head:
                (size,) = _HEAD.unpack_from(buffer, position)
                if size > MAX_FRAME:
                    raise ValueError(f"a frame of {size} bytes, at most {MAX_FRAME} are allowed")
                if len(buffer) < position + head + size:
                    break
                body = bytes(memoryview(buffer)[position + head : position + head + size])
                position += head + size
                yield _decoder.decode(body)
        finally:
            del buffer[:position]


_KINDS: dict[str, type[Exception]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)
}
_KINDS["ValueError"] = ValueError


class _Error(msgspec.Struct, array_like=True):
    """An error: the name of its class, its arguments, and its attributes."""

    kind: str
    arguments: list[Any]
    attributes: dict[str, Any]


_error_decoder = msgspec.msgpack.Decoder(_Error)


def encode_error(problem: BaseException) -> msgspec.Raw | None:
    """Return the form of an error in an entry; None if it is none of `splitd.errors`, and no `ValueError`."""
    kind = type(problem).__name__
    if _KINDS.get(kind) is not type(problem):
        return None
    arguments = [each.encode("utf-8", "replace").decode() if isinstance(each, str) else each for each in problem.args]
    return encode(_Error(kind, arguments, vars(problem)))


def decode_error(body: msgspec.Raw) -> Exception:
    """Return the error that an entry has: of the same class, with the same message and the same attributes."""
    error = _error_decoder.decode(body)
    kind = _KINDS.get(error.kind)
    if kind is None:
        return WorkerFault(": ".join(map(str, [error.kind, *error.arguments])))
    problem = kind.__new__(kind)
    problem.args = tuple(error.arguments)
    vars(problem).update({name: _frozen(value) for name, value in error.attributes.items()})
    return problem


def fault(problem: BaseException) -> msgspec.Raw:
    """Return the form of an error that nobody has foreseen."""
    return encode(_Error("", [f"{type(problem).__name__}: {problem}"[:500].encode("utf-8", "replace").decode()], {}))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
