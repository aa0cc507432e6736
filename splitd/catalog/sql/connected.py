"""A connection of a worker, and the state of the transaction that its thread is in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from splitd.catalog.sql.connecting import Statements
from splitd.catalog.sql.state import Common, StoredState
from splitd.model.packing import Packing

Connect = Callable[[], Any]
"""Returns a new connection to the database, which is not in a transaction."""

_MOST_SHAPES = 10_000


class Current:
    """The state of the transaction that the calling thread is in."""

    def __init__(self) -> None:
        self._local = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._local.state, name)

    @contextmanager
    def be(self, state: StoredState) -> Iterator[None]:
        """Be this state in the calling thread until the end of the block."""
        self._local.state = state
        try:
            yield
        finally:
            del self._local.state


class Connected:
    """A connection, which is opened again when it is lost.

    :param slot: returns the number of the connection.
    :param few_rows: whether all its statements look for few rows by indexes.
    """

    def __init__(
        self, connect: Connect, current: Current, common: Common, slot: Callable[[], int], *, few_rows: bool = True
    ) -> None:
        self._connect = connect
        self._few_rows = few_rows
        self._current = current
        self._common = common
        self._slot = slot
        self._packing = Packing()
        self._connection: Any = None

    def open(self) -> None:
        """Connect, unless it is connected; see `Worker.open`."""
        if not self._is_open():
            self.close()  # libpq holds the socket of a connection that was lost
            connection = self._connect()
            try:
                connection.pipelined(few_rows=self._few_rows)
            except BaseException:
                connection.close()
                raise
            self._connection = connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _is_open(self) -> bool:
        return self._connection is not None and not self._connection.closed

    def idle(self) -> float:
        """Nothing is due ever; see `Worker.idle`."""
        return 3600.0

    def settle(self) -> None:
        """Nothing is left to do; see `Worker.settle`."""

    def _state(self, *, locks: bool) -> StoredState:
        if len(self._packing.shapes) > _MOST_SHAPES:
            self._packing = Packing()
        return StoredState(Statements(self._connection), self._packing, self._common, self._slot(), locks=locks)
