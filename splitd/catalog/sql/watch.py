"""Finds out when the server of a database does not answer any more, though its machine does.

A process that is stopped, or that waits for a disk, keeps its connections open: nothing tells the front, which would
wait for ever.  How long an answer may take cannot be said: a copy of a tree, and all that waits for it, take minutes.
So if an answer takes long, a new connection to the same server is tried, which any server that works answers at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakSet

import psycopg
from twisted.logger import Logger

from splitd.catalog.sql.connecting import Connection, Server
from storaged.system.clocks import elapsed_s

PATIENCE_S, SHORT_S = 10.0, 2.0
"""How long an answer may take before the server is tried, usually, and while the front stops."""


class Watch:
    """Opens connections, and breaks off those of which somebody waits for a server that does not answer.

    :param connect: opens a connection; raises `psycopg.errors.ConnectionTimeout` if the server does not answer.  It
        takes parameters in place of those that it has, to connect to one of several servers.
    :param patience_s: how many seconds an answer may take before the server is tried.
    """

    _log = Logger()

    def __init__(self, connect: Callable[..., Any], patience_s: float = PATIENCE_S) -> None:
        self._connect = connect
        self._patience_s = patience_s
        self._opened: WeakSet[Connection] = WeakSet()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._stopped = False

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
        """Wait less long for answers from now on, because the front stops."""
        with self._lock:
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
        for server in servers:
            if self._is_answered(server):
                continue
            self._log.error("catalog: the server of the database takes connections, but does not answer")
            for connection, since_s in late:
                if connection.server == server and connection.waits_since_s == since_s:
                    connection.break_off()

    def _is_answered(self, server: Server) -> bool:
        # Another server may do what this one did by now, or this one may do less: neither matters here.
        instead = {**dict(server), "target_session_attrs": "any"}
        try:
            self._connect(**instead).close()
        except psycopg.errors.ConnectionTimeout:
            return False
        except psycopg.Error:  # an answer, too: it has too many connections, or shuts down
            return True
        return True
