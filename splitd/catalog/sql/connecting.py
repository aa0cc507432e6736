"""Opens connections to the database of a catalog.

Lanes send the statements of a transaction one after the other without waiting for each: see `Connection.pipelined`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import psycopg

_OPTIONS = {
    "connect_timeout": 3,  # seconds
    "tcp_user_timeout": 5000,  # milliseconds: a machine that is gone is noticed by then
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "application_name": "splitd",
}

_SETTINGS = """SET jit TO off; SET max_parallel_workers_per_gather TO 0; SET standard_conforming_strings TO on;
    SET idle_in_transaction_session_timeout TO '60s'; SET plan_cache_mode TO force_generic_plan"""


class Connection(psycopg.Connection[Any]):
    """A connection that can send several statements before it waits for the first one.

    :ivar in_transaction: whether a transaction is open that `begin` has begun.
    """

    in_transaction = False

    def __init__(self, pgconn: Any) -> None:
        super().__init__(pgconn)
        self._stack = ExitStack()

    def pipelined(self) -> None:
        """Send statements without waiting for their results from now on.

        A statement that fails makes the next one fail whose rows are fetched, or the commit.  Each must have a cursor
        of its own: a cursor of several statements may return the rows of an earlier one.
        """
        self.autocommit = True
        self._sent = self._stack.enter_context(self.pipeline())

    def begin(self, how: str = "") -> None:
        """Begin a transaction, without waiting for it.

        :param how: the mode of the transaction, as `BEGIN` takes it.
        """
        self.execute(f"BEGIN {how}")
        self.in_transaction = True

    def sync(self) -> None:
        """Wait for all statements that were sent.  What was executed outside of a transaction is committed.

        :raise psycopg.Error: one of them has failed.
        """
        self._sent.sync()

    def commit(self) -> None:
        """Commit the transaction.

        :raise psycopg.Error: a statement of it has failed, or it is not known whether it was committed.
        """
        if not self.in_transaction:  # libpq does not know of one that was begun in a pipeline
            super().commit()
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
        if self.in_transaction:
            while not self._is_drained():
                if self.closed:
                    break
            self.in_transaction = False
        super().rollback()  # which forgets what was prepared: in a pipeline that failed, some of it was not

    def _is_drained(self) -> bool:
        """Wait for all statements that were sent; return whether it is done.

        If one has failed, the driver may have taken only some of the results.
        """
        try:
            self.sync()
        except psycopg.Error:
            return False
        return True

    def close(self) -> None:
        """Close the connection.  Nothing is waited for; an open transaction is rolled back by the server."""
        super().close()
        with suppress(psycopg.Error):
            self._stack.close()


class Statements:
    """Executes statements on a connection, each with a cursor of its own."""

    def __init__(self, connection: Any) -> None:
        self._cursor = connection.cursor

    def execute(self, query: str, values: Any = None) -> Any:
        """Send a statement; the cursor waits for its rows when they are fetched."""
        return self._cursor(binary=True).execute(query, values)


def connector(url: str, connection_class: type[Any] = Connection) -> Callable[[], Any]:
    """Return a function that opens a connection.  If that fails, nothing is left open.

    :param url: the address of the database, as libpq reads it: "postgresql://…".
    """

    def connect() -> Any:
        connection = connection_class.connect(url, **_OPTIONS)
        try:
            connection.execute(_SETTINGS)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection

    return connect
