"""Statements that are sent to the server one after the other, without waiting for the answer to each.

Nothing is sent before somebody waits for an answer: so a row of statements goes out together, and wakes the server
once.  psycopg's own pipeline sends each statement by itself, and makes an object for it that can do much more.
"""

from __future__ import annotations

import re
import select
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import PipelineAborted, error_from_result

_PREPARED_AT, _MOST_PREPARED = 3, 150
"""How often a statement has been executed before it is prepared, and how many are prepared at most."""
_PLACE = re.compile(r"%(?:\((\w+)\))?s|%%")
_Key = tuple[bytes, tuple[int, ...]]
"""A statement, and the types of its values."""
_NO_NAMES: tuple[str, ...] = ()
_FAILED = pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE


@cache
def _numbered(query: str) -> tuple[bytes, tuple[str, ...]]:
    """Return a query with the placeholders of libpq, and the names of its values, if they have any."""
    names: dict[str, int] = {}
    count = 0

    def place(match: re.Match[str]) -> str:
        nonlocal count
        if match[0] == "%%":
            return "%"
        if match[1] is None:
            count += 1
            return f"${count}"
        return f"${names.setdefault(match[1], len(names) + 1)}"

    return _PLACE.sub(place, query).encode(), tuple(names)


class Sent:
    """A statement that was sent, and its answer.

    :param prepares: what it prepares, if it does.
    """

    __slots__ = ("_next", "_pipeline", "prepares", "problem", "rows", "statusmessage")

    def __init__(self, pipeline: Pipeline | None, prepares: _Key | None = None) -> None:
        self._pipeline = pipeline
        self.prepares = prepares
        self._next = 0
        self.rows: list[Any] = []
        self.problem: psycopg.Error | None = None
        self.statusmessage = ""

    def answered(self) -> None:
        """Take note that the answer is there."""
        self._pipeline = None

    def _wait(self) -> None:
        if self._pipeline is not None:
            self._pipeline.sync()
        if self.problem is not None:
            raise self.problem

    def fetchall(self) -> list[Any]:
        """Wait for the answer, and return the rows that were not returned before.

        :raise psycopg.Error: the statement has failed, or one before it, or the connection is lost.
        """
        self._wait()
        rows = self.rows[self._next :] if self._next else self.rows
        self._next = len(self.rows)
        return rows

    def fetchone(self) -> Any:
        """Wait for the answer, and return the next row; None if there is none.

        :raise psycopg.Error: as for `fetchall`.
        """
        self._wait()
        if self._next == len(self.rows):
            return None
        self._next += 1
        return self.rows[self._next - 1]


class Pipeline:
    """Sends statements on a connection, and receives their answers in the same order.

    :param connection: one in which no transaction is open.  Nobody else uses it from now on.
    :param wait: called with a function that waits for the server; calls that.
    """

    def __init__(self, connection: psycopg.Connection[Any], wait: Callable[[Callable[[], object]], object]) -> None:
        self._pgconn = connection.pgconn
        self._wait = wait
        self._pgconn.enter_pipeline_mode()
        self._dumping = Transformer(connection)
        self._loading = Transformer(connection)
        self._sent: deque[Sent] = deque()
        self._is_idle = True
        self._used: dict[_Key, int] = {}
        self._prepared: dict[_Key, bytes] = {}
        self._names = 0

    def send(self, query: str, values: Any = None) -> Sent:
        """Let a statement be sent.

        :param query: with `%s` for each value, or `%(name)s`; as it is, if there are no values.
        :param values: a sequence, or a mapping from names; None for no values.
        """
        text, names = (query.encode(), _NO_NAMES) if values is None else _numbered(query)
        params: Sequence[Any] | None = None
        types: tuple[int, ...] = ()
        formats: Sequence[int] | None = None
        if values:
            if names:
                values = [values[name] for name in names]
            params = self._dumping.dump_sequence(values, [PyFormat.AUTO] * len(values))
            types, formats = self._dumping.types or (), self._dumping.formats
        name = self._name(text, types)
        if name is None:
            self._pgconn.send_query_params(text, params, types or None, formats, pq.Format.BINARY)
        else:
            self._pgconn.send_query_prepared(name, params, formats, pq.Format.BINARY)
        sent = Sent(self)
        self._sent.append(sent)
        self._is_idle = False
        return sent

    def _name(self, text: bytes, types: tuple[int, ...]) -> bytes | None:
        """Return the name of a prepared statement; prepare it if it was used several times."""
        key = text, types
        name = self._prepared.get(key)
        if name is None:
            if len(self._used) > 10 * _MOST_PREPARED:
                self._used.clear()
            used = self._used[key] = self._used.get(key, 0) + 1
            if used <= _PREPARED_AT or len(self._prepared) >= _MOST_PREPARED:
                return None
            self._names += 1
            name = b"s%d" % self._names
            self._pgconn.send_prepare(name, text, types or None)
            self._sent.append(Sent(self, key))
            self._prepared[key] = name
        return name

    def sync(self) -> None:
        """Wait for all statements that were sent.  What was executed outside of a transaction is committed.

        The server is told each time that nothing more comes for now: so if a transaction is open, and this process
        stands still, `idle_in_transaction_session_timeout` ends it.

        :raise psycopg.Error: one of them has failed, or the connection is lost.
        """
        if self._is_idle:
            return
        try:
            problem = self._receive()
        except BaseException:
            # Which answer is the next one is not known any more: another statement would take it for its own.
            self._pgconn.finish()
            raise
        self._is_idle = True
        if problem is not None:
            raise problem

    def _receive(self) -> psycopg.Error | None:
        """Take all answers; return why the first statement has failed that has."""
        self._pgconn.pipeline_sync()
        self._flush()
        problem: psycopg.Error | None = None
        while True:
            result = self._result()
            if result is not None and result.status == pq.ExecStatus.PIPELINE_SYNC:
                return problem
            found = self._answer(result)
            problem = problem or found

    def _answer(self, result: Any) -> psycopg.Error | None:
        """Take an answer; return why the statement has failed, if it was the one that has."""
        if result is None or not self._sent:
            raise psycopg.OperationalError(self._reason())
        sent = self._sent.popleft()
        sent.answered()
        first: psycopg.Error | None = None
        if result.status == pq.ExecStatus.TUPLES_OK:
            loading = self._loading
            loading.set_pgresult(result, set_loaders=True, format=pq.Format.BINARY)
            sent.rows = loading.load_rows(0, result.ntuples, tuple)
        elif result.status == pq.ExecStatus.PIPELINE_ABORTED:
            sent.problem = PipelineAborted("a statement before this one has failed")
        elif result.status in _FAILED:
            first = sent.problem = error_from_result(result)
        if sent.problem is not None and sent.prepares is not None:
            self._prepared.pop(sent.prepares, None)
        sent.statusmessage = (result.command_status or b"").decode()
        if self._pgconn.status == pq.ConnStatus.BAD:
            raise psycopg.OperationalError(self._reason())
        self._result()  # None, which ends the answer
        return first

    def _result(self) -> Any:
        pgconn = self._pgconn
        while pgconn.is_busy():
            self._wait(self._until_readable)
            pgconn.consume_input()
        return pgconn.get_result()

    def _flush(self) -> None:
        while self._pgconn.flush():
            self._wait(self._until_writable)
            self._pgconn.consume_input()  # or the server, whose answers nobody reads, would read nothing either

    def _until_readable(self) -> None:
        poll = select.poll()
        poll.register(self._pgconn.socket, select.POLLIN)
        poll.poll()

    def _until_writable(self) -> None:
        poll = select.poll()
        poll.register(self._pgconn.socket, select.POLLIN | select.POLLOUT)
        poll.poll()

    def _reason(self) -> str:
        return self._pgconn.get_error_message() or "the connection is lost"
