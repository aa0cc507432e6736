"""Asks whether names have changed, on a connection that the reactor itself reads: no thread wakes up for that."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.pq import ConnStatus, ExecStatus, Format
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from splitd.catalog.sql.connecting import Connection
from splitd.catalog.sql.lanes import RETRY_S
from splitd.catalog.sql.stamps import News
from storaged.system.clocks import elapsed_s

# Numbers only grow, and no row is ever removed: so any change raises the sum.
_PREPARE = "PREPARE probe AS SELECT coalesce(sum(number), 0)::bigint FROM stamp"


@implementer(IReadDescriptor)
class Probe:
    """Finds out what was touched, by asking first whether anything was.

    If nothing was, that is all; else, and while there is no connection, a lane finds it out.

    :param connect: opens a connection; called in a thread.
    :param check: asks a lane what was touched since it was asked last; see `StoredChanges.check`.
    :param lost: returns how often the lane has lost its connection, after which its next news are that all has changed.
    :param tell: takes the news that all may have changed.
    """

    _log = Logger()

    def __init__(
        self,
        connect: Callable[[], Connection],
        reactor: Any,
        check: Callable[[], Deferred[News]],
        lost: Callable[[], int],
        tell: Callable[[News], object],
    ) -> None:
        self._connect = connect
        self._reactor = reactor
        self._check = check
        self._lost = lost
        self._tell = tell
        self._connection: Connection | None = None
        self._is_stopped = False
        self._opening: Deferred[None] | None = None
        self._opens_at_s = 0.0
        self._known: tuple[bytes | None, int] | None = None
        self._answer: bytes | None = None
        self._asked: Deferred[News] | None = None

    def ask(self) -> Deferred[News]:
        """Ask what was touched since the last time; one question at a time.

        :return: a Deferred that fires with the news when they are told.
        :raise CatalogAway: the database does not answer.
        """
        connection = self._connection
        if connection is None:
            self._open()
            return self._check()
        try:
            connection.waits_since_s = elapsed_s()
            connection.pgconn.send_query_prepared(b"probe", None, result_format=Format.BINARY)
            if connection.pgconn.flush():
                raise psycopg.OperationalError("the server reads nothing")
        except psycopg.Error as problem:
            self._end(problem)
            return self._check()
        self._answer = None
        self._asked = Deferred()
        return self._asked

    def start(self) -> Deferred[None]:
        """Connect.

        :return: a Deferred that fires with None when that is done, or has failed: then it is tried again later.
        """
        self._open()
        return succeed(None) if self._opening is None else self._opening

    def _open(self) -> None:
        if self._opening is None and not self._is_stopped and elapsed_s() >= self._opens_at_s:
            self._opening = Deferred()
            threading.Thread(target=self._connect_now, name="catalog-probe", daemon=True).start()

    def _connect_now(self) -> None:
        connection: Connection | None = None
        try:
            connection = self._connect()
            connection.execute(_PREPARE)
            connection.commit()
        except Exception as problem:  # the lanes say what is wrong with the database
            self._log.debug("catalog: no connection to probe it: {why}", why=problem)
            if connection is not None:
                connection.close()
                connection = None
        self._reactor.callFromThread(self._opened, connection)

    def _opened(self, connection: Connection | None) -> None:
        self._opens_at_s = elapsed_s() + RETRY_S
        if connection is not None and self._is_stopped:
            connection.close()
        elif connection is not None:
            # It may lead to another server than the one before.
            self._known = None
            self._tell(News(None))
            self._connection = connection
            self._fileno = connection.own_fileno
            self._reactor.addReader(self)
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.callback(None)

    def fileno(self) -> int:
        """Return the number of the connection's socket."""
        return self._fileno

    def logPrefix(self) -> str:
        """Return what the log calls it."""
        return "catalog probe"

    def doRead(self) -> None:
        """Take what the server has sent."""
        assert self._connection is not None
        pgconn = self._connection.pgconn
        try:
            pgconn.consume_input()
            if pgconn.status != ConnStatus.OK:
                raise psycopg.OperationalError("the connection is lost")
            while self._asked is not None and not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    self._answered(self._asked)
                elif result.status == ExecStatus.TUPLES_OK:
                    self._answer = result.get_value(0, 0)
                else:
                    raise psycopg.OperationalError("the probe has failed")
        except psycopg.Error as problem:
            self._end(problem)

    def _answered(self, asked: Deferred[News]) -> None:
        connection = self._connection
        assert connection is not None
        connection.waits_since_s = math.inf
        self._asked = None
        now = self._answer, self._lost()
        if now == self._known:
            asked.callback(News())
            return
        self._known = None  # until the news are told

        def told(news: News) -> News:
            if self._connection is connection:
                self._known = now
            return news

        self._check().addCallback(told).chainDeferred(asked)

    def connectionLost(self, reason: Any) -> None:
        """Take note that the reactor reads the connection no more."""
        self._end(reason.value)

    def _end(self, problem: BaseException) -> None:
        connection, self._connection = self._connection, None
        asked, self._asked = self._asked, None
        self._known = None
        if connection is not None:
            self._log.debug("catalog: the connection to probe it is lost: {why}", why=problem)
            self._reactor.removeReader(self)
            with suppress(psycopg.Error):
                connection.close()
        if asked is not None:
            self._check().chainDeferred(asked)

    def stop(self) -> Deferred[None]:
        """Close the connection, and open no other one.

        :return: a Deferred that fires with None when none is being opened.
        """
        self._is_stopped = True
        self._end(psycopg.OperationalError("the catalog was closed"))
        return succeed(None) if self._opening is None else self._opening
