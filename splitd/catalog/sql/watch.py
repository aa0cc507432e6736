"""Finds out when the server of a database does not answer any more, though its machine does.

A process that is stopped, or that waits for a disk, keeps its connections open: nothing tells the front, which would
wait for ever.  How long an answer may take cannot be said: a copy of a tree, and all that waits for it, take minutes.
So if an answer takes long, a new connection to the same server is tried, which any server that works answers at once.
By this it is asked which of its processes have not even begun with what they were sent: these stand still.  And it is
asked which ones wait for a replica that must confirm a commit.  These are not broken off, because the commit is made
already, unless the front stops; but nothing else can be changed meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakSet

import psycopg
from twisted.logger import Logger

from splitd.catalog.sql.connecting import Connection, Server, in_time
from splitd.catalog.sql.rows import array
from storaged.system.clocks import elapsed_s

PATIENCE_S, SHORT_S = 10.0, 2.0
"""How long an answer may take before the server is tried, usually, and while the front stops."""


class Watch:
    """Opens connections, and breaks off those of which somebody waits for a server that does not answer.

    :param connect: opens a connection; raises `psycopg.errors.ConnectionTimeout` if the server does not answer.  It
        takes parameters in place of those that it has, to connect to one of several servers.
    :param patience_s: how many seconds an answer may take before the server is tried.
    :ivar stalled: why nothing can be changed though the server answers; empty if nothing speaks against it.
    """

    _log = Logger()

    def __init__(self, connect: Callable[..., Any], patience_s: float = PATIENCE_S) -> None:
        self._connect = connect
        self._patience_s = patience_s
        self._opened: WeakSet[Connection] = WeakSet()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._stopped = self._is_hastened = False
        self.stalled = ""

    def connect(self) -> Any:
        """Open a connection that is watched.

        :raise psycopg.Error: it cannot be opened.
        """
        connection = self._connect()
        with self._lock:
            self._opened.add(connection)
        return connection

    def start(self) -> None:
        """Begin to watch, unless it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="catalog-watch", daemon=True)
            self._thread.start()

    def hasten(self) -> None:
        """Wait less long for answers from now on, because the front stops, and for no replica."""
        with self._lock:
            self._is_hastened = True
            self._patience_s = min(self._patience_s, SHORT_S)
            self._changed.notify_all()

    def stop(self) -> None:
        """End the watch; the thread ends by itself.  May be called more than once."""
        with self._lock:
            self._stopped = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._stopped:
                    self._changed.wait(self._patience_s / 2)
                if self._stopped:
                    return
                before_s = elapsed_s() - self._patience_s
                waits = [(each, each.waits_since_s) for each in self._opened]
            late = [(connection, since_s) for connection, since_s in waits if since_s <= before_s]
            try:
                self._try({connection.server for connection, _ in late}, late)
            except Exception:  # there may be no memory or no thread now; it goes on
                self._log.failure("catalog: a server of the database is tried")

    def _try(self, servers: set[Server], late: Sequence[tuple[Connection, float]]) -> None:
        is_syncing = False
        for server in servers:
            waits = [each for each in late if each[0].server == server]
            hung, syncing = self._find_hung(server, waits)
            is_syncing |= syncing
            for connection, since_s in hung:
                if connection.waits_since_s == since_s:
                    connection.break_off()
        if is_syncing and not self.stalled:
            self._log.error("catalog: the database waits for a replica, and changes nothing meanwhile")
        self.stalled = _SYNCING if is_syncing else ""

    def _find_hung(
        self, server: Server, late: Sequence[tuple[Connection, float]]
    ) -> tuple[Sequence[tuple[Connection, float]], bool]:
        """Return the connections to a server that wait in vain, and whether others wait for a replica."""
        # Another server may do what this one did by now, or this one may do less: neither matters here.
        instead = {**dict(server), "target_session_attrs": "any"}
        try:
            tried = self._connect(**instead)
            try:
                with in_time(tried):
                    idle, syncing = _look_at(tried, late)
            finally:
                tried.close()
        except psycopg.errors.ConnectionTimeout:
            self._log.error("catalog: the server of the database takes connections, but does not answer")
            return late, bool(self.stalled)
        except psycopg.Error:  # an answer, too: it has too many connections, or shuts down
            return (), bool(self.stalled)
        hung = [each for each in late if each[0].pgconn.backend_pid in idle]
        if hung:
            self._log.error("catalog: processes of the database stand still: {pids}", pids=sorted(idle))
        if self._is_hastened:
            hung += [each for each in late if each[0].pgconn.backend_pid in syncing]
        return hung, bool(syncing)


_SYNCING = "the database of the catalog waits for a replica that must confirm what is changed"

_LOOK = """SELECT pid, state LIKE 'idle%%' AND state_change < clock_timestamp() - waited_ms * interval '1 millisecond',
        coalesce(wait_event = 'SyncRep', false)
    FROM unnest(%s::integer[], %s::bigint[]) AS late(pid, waited_ms) JOIN pg_stat_activity USING (pid)"""


def _look_at(tried: Connection, late: Sequence[tuple[Connection, float]]) -> tuple[set[int], set[int]]:
    """Return which processes that serve connections have had nothing to do for as long as these have waited, and which
    ones wait for a replica.
    """
    now_s = elapsed_s()
    pids = [connection.pgconn.backend_pid for connection, _ in late]
    waited_ms = [int((now_s - since_s) * 1000) for _, since_s in late]
    found = tried.execute(_LOOK, (array(pids), array(waited_ms))).fetchall()
    return {pid for pid, is_idle, _ in found if is_idle}, {pid for pid, _, syncs in found if syncs}
