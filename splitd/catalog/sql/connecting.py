"""Opens connections to the database of a catalog.

Lanes send the statements of a transaction one after the other without waiting for each: see `Connection.pipelined`.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from splitd.catalog.sql.pipeline import Pipeline
from storaged.system.clocks import elapsed_s

_OPTIONS = {
    "tcp_user_timeout": 5000,  # milliseconds: a machine that is gone is noticed by then
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "application_name": "splitd",
}

_SETTINGS = """SET jit TO off; SET max_parallel_workers_per_gather TO 0; SET standard_conforming_strings TO on;
    SELECT set_config(name, '0', false) FROM pg_settings
        WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_session_timeout');
    SET idle_in_transaction_session_timeout TO '60s'; SET plan_cache_mode TO force_generic_plan;
    SET default_transaction_isolation TO 'read committed'"""
"""What statements rely on, whatever the server's defaults are; `transaction_timeout` is there since PostgreSQL 17."""
_FEW_ROWS = "SET enable_seqscan TO off; SET enable_hashjoin TO off; SET enable_mergejoin TO off"
"""For statements that look for few rows: a plan that was made while tables were small is kept while they grow."""
TIMEOUT_S = 3
"""How long a server may take to let a front in, and again to take the settings."""

_OF_THE_SERVER = {"08", "28", "3D", "53", "57", "58"}
"""Classes of SQLSTATE: connections, logins, databases, resources, operators, the system around the server."""
_CANCELED, _READ_ONLY = "57014", "25006"

Server = tuple[tuple[str, str], ...]
"""Parameters by which libpq connects to one server."""


def is_away(problem: BaseException) -> bool:
    """Whether a statement has failed because of the server or the connection, and not because of what it says."""
    if not isinstance(problem, psycopg.Error):
        return False
    state = problem.sqlstate
    if state is None:
        return isinstance(problem, psycopg.OperationalError | psycopg.InterfaceError)
    return state == _READ_ONLY or (state[:2] in _OF_THE_SERVER and state != _CANCELED)


class Connection(psycopg.Connection[Any]):
    """A connection that can send several statements before it waits for the first one.

    :ivar in_transaction: whether a transaction is open that `begin` has begun.
    :ivar waits_since_s: since when somebody waits for the server, by `elapsed_s`; infinite if nobody does.
    :ivar is_broken_off: whether `break_off` was called.
    :ivar server: which of the servers in the URL it is connected to.
    :raise psycopg.OperationalError: this process has too many files open.
    """

    in_transaction = is_broken_off = _is_of_one = False
    waits_since_s = math.inf

    def __init__(self, pgconn: Any) -> None:
        super().__init__(pgconn)
        self._ahead: Pipeline | None = None
        named = ("host", pgconn.host), ("hostaddr", pgconn.hostaddr), ("port", pgconn.port)
        self.server: Server = tuple((name, value.decode()) for name, value in named if value)
        # A number of its own for the socket: that of libpq may stand for something else after the connection is lost.
        try:
            self._socket = socket(fileno=os.dup(pgconn.socket))
        except OSError as problem:
            raise psycopg.OperationalError(f"no connection can be kept: {problem}") from problem

    @property
    def own_fileno(self) -> int:
        """The number of its socket that stays valid until `close`; that of libpq does not if the connection is lost."""
        return self._socket.fileno()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Say for the length of the block that somebody waits for the server; see `Watch`."""
        self.waits_since_s = elapsed_s()
        try:
            yield
        finally:
            self.waits_since_s = math.inf

    def break_off(self) -> None:
        """Let who waits for the server wait no longer: the connection is lost.  Any thread may call this."""
        self.is_broken_off = True
        with suppress(OSError):  # it is closed already
            self._socket.shutdown(SHUT_RDWR)

    def pipelined(self, *, few_rows: bool = False) -> None:
        """Send statements without waiting for their results from now on; see `Pipeline`.

        A statement that fails makes the next one fail whose rows are fetched, or the commit.

        :param few_rows: whether all of them look for few rows by indexes.
        :raise psycopg.Error: the connection is lost.
        """
        self.autocommit = True
        if few_rows:
            with self.waiting():
                self.execute(_FEW_ROWS)
        self._ahead = Pipeline(self, self._wait)

    @property
    def is_pipelined(self) -> bool:
        """Whether statements are sent without waiting for their results."""
        return self._ahead is not None

    def _wait(self, wait: Callable[[], object]) -> None:
        self.waits_since_s = elapsed_s()
        try:
            wait()
        finally:
            self.waits_since_s = math.inf

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Execute a statement, or let it be sent, if the connection is `pipelined`.

        :return: what its rows can be fetched of.
        """
        return super().execute(query, params, **options) if self._ahead is None else self._ahead.send(query, params)

    def begin(self, how: str = "") -> None:
        """Begin a transaction, without waiting for it.

        :param how: the mode of the transaction, as `BEGIN` takes it.
        """
        self.execute(f"BEGIN {how}")
        self.in_transaction = True

    def begin_one(self) -> None:
        """Begin a transaction of one statement, which is committed with it: nothing is sent for that."""
        self.in_transaction = self._is_of_one = True

    def sync(self) -> None:
        """Wait for all statements that were sent.  What was executed outside of a transaction is committed.

        :raise psycopg.Error: one of them has failed.
        """
        assert self._ahead is not None
        self._ahead.sync()

    def commit(self) -> None:
        """Commit the transaction.

        :raise psycopg.Error: a statement of it has failed, or it is not known whether it was committed.
        """
        if self._ahead is None:
            super().commit()
            return
        if self._is_of_one:
            self.in_transaction = self._is_of_one = False
            self.sync()
            return
        committed = self.execute("COMMIT")
        self.sync()
        self.in_transaction = False
        if committed.statusmessage != "COMMIT":
            raise psycopg.OperationalError(f"a commit has ended in {committed.statusmessage}")

    def leave(self) -> None:
        """End a transaction that has changed nothing, if there is one, and wait for all statements that were sent."""
        if self.in_transaction:
            self.execute("COMMIT")
        self.sync()
        self.in_transaction = False

    def rollback(self) -> None:
        """Roll the transaction back, whatever has failed in it, also in statements that nobody has waited for.

        :raise psycopg.Error: the connection is lost.
        """
        if self._ahead is None:
            super().rollback()
            return
        try:
            self.sync()
        except psycopg.Error:
            if self.closed:
                raise
        self.in_transaction = self._is_of_one = False
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            self.execute("ROLLBACK")
            self.sync()

    def close(self) -> None:
        """Close the connection.  Nothing is waited for; an open transaction is rolled back by the server."""
        super().close()
        self._socket.close()


class Statements:
    """Executes statements on a connection, each with a cursor of its own."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._is_pipelined = isinstance(connection, Connection) and connection.is_pipelined

    def execute(self, query: str, values: Any = None) -> Any:
        """Send a statement; return what waits for its rows when they are fetched."""
        if self._is_pipelined:
            return self._connection.execute(query, values)
        return self._connection.cursor(binary=True).execute(query, values)


def connector(
    url: str, connection_class: type[Connection] = Connection, timeout_s: int = TIMEOUT_S
) -> Callable[..., Connection]:
    """Return a function that opens a connection.  If that fails, nothing is left open.

    It raises `psycopg.errors.ConnectionTimeout` if the server is there and does not answer.  Arguments of it take the
    place of parameters in the URL.

    :param url: the address of the database, as libpq reads it: "postgresql://…".
    :param timeout_s: how long a server may take to answer, seconds.
    """

    def connect(**instead: str) -> Connection:
        options: dict[str, Any] = {**_OPTIONS, "connect_timeout": timeout_s}
        if conninfo_to_dict(url).get("target_session_attrs", os.environ.get("PGTARGETSESSIONATTRS")) != "read-write":
            options["target_session_attrs"] = "primary"  # a replica would show what was true a while ago
        options |= instead
        connection = connection_class.connect(url, **options)
        try:
            with in_time(connection, timeout_s):
                connection.execute(_SETTINGS)
                connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


@contextmanager
def in_time(connection: Connection, timeout_s: float = TIMEOUT_S) -> Iterator[None]:
    """Break a connection off if the block takes too long.

    :raise psycopg.errors.ConnectionTimeout: it has taken too long.
    """
    late = threading.Timer(timeout_s, connection.break_off)
    late.daemon = True
    try:
        late.start()
        yield
    except psycopg.Error as problem:
        if connection.is_broken_off:
            raise psycopg.errors.ConnectionTimeout("the server does not answer") from problem
        raise
    finally:
        late.cancel()
