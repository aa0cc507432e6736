"""Large writes that a thread makes: the kernel copies their bytes while the reactor does something else.

Only on plain TCP: what TLS sends, it has to encrypt first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum
from threading import Lock
from typing import Any

from twisted.internet.main import CONNECTION_LOST
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from storaged.http.eager import MOST_PIECES, takes_at_once, without, write_eagerly
from storaged.http.flow import Flow
from storaged.http.window import SharedWindow
from storaged.system.buffers import Piece

_log = Logger()

_LEAST = 512 * 1024
"""The fewest bytes of a write for which it pays to wake the thread."""

_WINDOWS = 3
"""The windows that one connection may fill: one that is being sent, one that waits, one that is being read."""

_ALL = 16 * 1024 * 1024
"""So many bytes may wait for the thread; if there are more, connections that have none there write by themselves, and
the others have one window each."""

_MOST = 32
"""So many connections may have bytes with the thread: each has a second descriptor, which no limit of clients
counts.
"""


class Background:
    """The thread that sends for all connections of a site.

    :param reactor: the reactor whose thread owns the connections.
    :param pool: the thread; it is started and stopped by its owner.
    :ivar lock: guards what follows, and all that the thread shares with the reactor's.
    :ivar held: the bytes of all connections that were not sent yet.
    :ivar users: the connections that have bytes with the thread, or have ended while it sends.
    :ivar waiting: the connections that wait for their turn in the thread.
    """

    def __init__(self, reactor: Any, pool: ThreadPool) -> None:
        self.reactor = reactor
        self.pool = pool
        self.lock = Lock()
        self.held = 0
        self.users = 0
        self.waiting = 0


class _State(Enum):
    IDLE = "the thread has nothing of this connection"
    SENDING = "the thread has the connection"
    BLOCKED = "the client takes no more now"
    BROKEN = "the connection has ended"


_ENDS = frozenset({_State.IDLE, _State.BROKEN})
_WAITS = frozenset({_State.BLOCKED, _State.BROKEN})


class Output:
    """Writes to one connection: large writes by the thread, all others at once.

    Until the thread has sent all it has got, what is written to the transport itself waits there, and so does the end
    of the connection.  The thread never waits for a client: when the kernel takes no more, the reactor waits.

    :param background: the thread; None for none.
    :param window: the bytes that a connection may keep for a slow client.
    :param flow: is paused while the connection has enough bytes to send.
    """

    def __init__(self, background: Background | None, window: SharedWindow, flow: Flow) -> None:
        self._background = background
        self._window = window
        self._flow = flow
        self._transport: Any = None
        self._do_write: Any = None  # always the same object, so that it can be found
        # What follows is guarded by the lock.
        self._queue: deque[Sequence[Piece]] = deque()
        self._held = 0
        self._most = 0
        self._is_full = False  # whether the flow waits for room
        self._is_wanted = False  # whether the transport waits for the end of what is queued
        self._state = _State.IDLE
        self._closed = False
        # It has its own descriptor: the reactor may close its one, and the number be that of another connection.
        self._socket: Any = None

    @property
    def held(self) -> int:
        """The bytes that the thread has not sent yet."""
        return self._held

    def open(self, transport: Any) -> None:
        """Begin to write to a transport."""
        self._transport = transport
        if not isinstance(transport, Connection):
            self._background = None
        elif self._background is not None:
            self._do_write = self._write_on

    def write(self, pieces: Sequence[Piece]) -> None:
        """Write pieces, which must not change any more, after those before them."""
        if self._background is None or not self._take(self._background, pieces):
            write_eagerly(self._transport, pieces)

    def _take(self, background: Background, pieces: Sequence[Piece]) -> bool:
        """Pass pieces to the thread; return whether that was done, because there are many, or because it has others."""
        size = sum(map(len, pieces))
        if self._state is _State.IDLE and size < _LEAST:  # only this thread begins
            return False
        with background.lock:
            state = self._state
            if state is _State.BROKEN:
                return True
            if not takes_at_once(self._transport):  # other bytes wait there, which come first
                return False
            if state is _State.IDLE and not self._begin(background, size):
                return False
            self._queue.append(pieces)
            self._held += size
            background.held += size
            self._most = self._window.size * (_WINDOWS if background.held < _ALL else 1)
            is_full = self._is_full = self._held >= self._most
        if state is _State.IDLE:
            self._transport.doWrite = self._do_write
            self._ask_thread(background)
        if is_full:
            self._flow.pauseProducing()
        return True

    def _begin(self, background: Background, size: int) -> bool:
        if size < _LEAST or background.held >= _ALL or background.users >= _MOST:
            return False
        try:
            self._socket = self._transport.socket.dup()
        except OSError:  # there are no more descriptors
            return False
        background.users += 1
        self._state = _State.SENDING
        return True

    def _ask_thread(self, background: Background) -> None:
        """Have the thread send when it has done what it was asked for before."""
        with background.lock:
            background.waiting += 1
        background.pool.callInThread(self._run, background)

    def close(self) -> None:
        """Write nothing any more: the connection has ended."""
        background = self._background
        if background is None or self._transport is None:
            return
        self._give_back()
        self._do_write = None
        with background.lock:
            self._closed = True
            self._drop(background)
            if self._state is not _State.SENDING:
                self._close_socket(background)

    def _drop(self, background: Background) -> None:
        background.held -= self._held
        self._held = 0
        self._queue.clear()

    def _close_socket(self, background: Background) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            background.users -= 1

    # In the thread

    def _run(self, background: Background) -> None:
        """Send until nothing is left, the kernel takes no more, or others wait for their turn."""
        with background.lock:
            background.waiting -= 1
        pieces: Sequence[Piece] | None = ()
        while pieces is not None:
            sent, state = _send(self._socket, pieces)
            pieces = self._note(background, pieces, sent, state)

    def _note(
        self, background: Background, pieces: Sequence[Piece], sent: int, state: _State
    ) -> Sequence[Piece] | None:
        """Take note of what was sent; return the next pieces, or None if there is nothing to do."""
        left = without(pieces, sent)
        following: Sequence[Piece] | None = None
        gives_way = False
        with background.lock:
            if not self._closed:
                self._held -= sent
                background.held -= sent
            if self._closed or state is _State.BROKEN:
                self._drop(background)
                self._state = _State.BROKEN
            elif state is _State.BLOCKED:
                self._queue.appendleft(left)
                self._state = _State.BLOCKED
            elif left or self._queue:
                following = left or self._queue.popleft()
                # A client that takes as fast as is sent would keep the thread for its whole file.
                gives_way = bool(sent and background.waiting)
                if gives_way:
                    self._queue.appendleft(following)
            else:
                self._state = _State.IDLE
            if self._state in _ENDS:
                self._close_socket(background)
            is_told = self._has_news()
        if is_told:
            background.reactor.callFromThread(self._told, background)
        if gives_way:
            self._ask_thread(background)
            return None
        return following

    def _has_news(self) -> bool:
        if self._closed:
            return False
        if self._state is _State.IDLE and self._is_wanted:
            return True
        return self._state in _WAITS or (self._is_full and self._held < self._most)

    # In the reactor's thread again

    def _told(self, background: Background) -> None:
        """Do what has waited for the thread."""
        with background.lock:
            if self._closed:
                return
            state = self._state
            writes = state in _WAITS or (state is _State.IDLE and self._is_wanted)
            has_room = self._is_full and self._held < self._most and state is not _State.BROKEN
            if has_room:
                self._is_full = False
        if writes:
            self._transport.startWriting()  # the reactor calls `_write_on` when the client takes more
        if has_room and not self._transport.producerPaused:
            self._flow.resumeProducing()

    def _write_on(self) -> Any:
        """Write in place of the transport, whom the reactor asks to do it."""
        background, transport = self._background, self._transport
        assert background is not None
        with background.lock:
            state = self._state
            self._is_wanted = state is not _State.IDLE
            if state is _State.BLOCKED:
                self._state = _State.SENDING
        if state is _State.BROKEN:
            return CONNECTION_LOST
        if state is _State.IDLE:
            self._give_back()
            return transport.doWrite()
        transport.stopWriting()
        if state is _State.BLOCKED:
            self._ask_thread(background)
        return None

    def _give_back(self) -> None:
        """Let the transport write again."""
        if self._transport.__dict__.get("doWrite") is self._do_write:
            del self._transport.doWrite


def _send(socket: Any, pieces: Sequence[Piece]) -> tuple[int, _State]:
    """Send as much as the kernel takes; return how many bytes that was, and whether there is more to do."""
    if not pieces:
        return 0, _State.SENDING
    try:
        return socket.sendmsg(pieces[:MOST_PIECES]), _State.SENDING
    except BlockingIOError:
        return 0, _State.BLOCKED
    except OSError:
        return 0, _State.BROKEN
    except Exception:  # as MemoryError: nobody else would end the connection before its client leaves
        _log.failure("sending to a client")
        return 0, _State.BROKEN
