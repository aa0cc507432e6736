"""Writes that do not wait for the reactor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.tcp import Connection

from storaged.system.buffers import Piece

MOST_PIECES = 512
"""Fewer than the kernel takes in one call (IOV_MAX, 1024)."""


def write_eagerly(transport: Any, pieces: Sequence[Piece]) -> None:
    """Write large pieces to a connection.  On plain TCP the kernel gets at once as much as it takes, without a copy.

    A transport waits for its turn in the reactor, joins the pieces, and sends 128 KiB at a time.  That suits small
    writes, but is about a quarter of the cost of large ones.  Bytes that the kernel does not take go that way.
    """
    if takes_at_once(transport):
        pieces = send_at_once(transport.socket, pieces)
    if pieces:
        # A transport takes bytes only.
        transport.writeSequence([piece if isinstance(piece, bytes) else bytes(piece) for piece in pieces])


def takes_at_once(transport: Any) -> bool:
    """Return whether the kernel may get bytes of a connection at once: on plain TCP, while no other bytes wait."""
    return (
        isinstance(transport, Connection)
        and not transport.TLS
        and bool(transport.connected)
        and not transport.disconnecting
        # No byte may overtake those that wait already (abstract.FileDescriptor).
        and not transport.dataBuffer
        and not transport._tempDataBuffer
        and not transport._writeDisconnected
    )


def send_at_once(socket: Any, pieces: Sequence[Piece]) -> Sequence[Piece]:
    """Send pieces, and return those that the kernel did not take."""
    try:
        sent = socket.sendmsg(pieces[:MOST_PIECES])
    except OSError:
        # The socket is full or broken; the transport finds out which, and reports it.
        return pieces
    return without(pieces, sent)


def without(pieces: Sequence[Piece], sent: int) -> Sequence[Piece]:
    """Return pieces without their first `sent` bytes."""
    for number, piece in enumerate(pieces):
        if sent < len(piece):
            return [memoryview(piece)[sent:], *pieces[number + 1 :]] if sent else pieces[number:]
        sent -= len(piece)
    return ()
