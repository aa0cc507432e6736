"""No connection to a database is left open, whatever fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress

import psycopg
import pytest
from psycopg import errors
from psycopg.pq import TransactionStatus

from splitd.catalog.sql.connected import Connect, Current
from splitd.catalog.sql.connecting import Connection, Statements, connector
from splitd.catalog.sql.jobs import Look
from splitd.catalog.sql.reader import Reader
from splitd.catalog.sql.state import Common
from splitd.catalog.sql.writer import Writer
from splitd.errors import CatalogAway
from tests.postgres import postgres


class Breaking(Connection):
    """Fails when it commits, or as if it were lost, when it waits for what was sent."""

    commits = True
    syncs = True

    def commit(self) -> None:
        if not self.commits and self.info.transaction_status == TransactionStatus.INTRANS:
            raise psycopg.OperationalError("no space left")
        super().commit()

    def sync(self) -> None:
        if not self.syncs:
            raise psycopg.OperationalError("the connection is lost")
        super().sync()


@contextmanager
def counted() -> Iterator[tuple[Connect, type[Breaking], list[Breaking]]]:
    """Return what opens connections, their class, and those that were opened; all must be closed at the end."""
    opened: list[Breaking] = []

    class Counted(Breaking):
        def __init__(self, pgconn: psycopg.pq.PGconn) -> None:
            super().__init__(pgconn)
            opened.append(self)

    try:
        yield connector(postgres().url("public"), Counted), Counted, opened
    finally:
        left = [each for each in opened if not each.closed]
        for each in left:
            each.close()
    assert not left


def test_a_connection_that_cannot_be_prepared_is_closed() -> None:
    with counted() as (connect, kind, opened):
        kind.commits = False
        with pytest.raises(psycopg.OperationalError, match="no space left"):
            connect()
        assert len(opened) == 1


def test_a_connection_whose_lease_is_not_renewed_is_closed_and_replaced() -> None:
    renewals = iter([True, False, True])

    def renew(_: object) -> float:
        if not next(renewals):
            raise psycopg.OperationalError("the connection is lost")
        return 1.0

    with counted() as (connect, _, opened):
        writer = Writer(connect, Current(), Common(), lambda: 0, renew)
        writer.open()
        with pytest.raises(psycopg.OperationalError):
            writer.idle()
        assert [each.closed for each in opened] == [True]
        writer.open()
        assert [each.closed for each in opened] == [True, False]
        writer.close()


def test_a_connection_that_is_lost_at_a_look_is_closed_and_replaced() -> None:
    with counted() as (connect, kind, opened):
        reader = Reader(connect, Current(), Common(), lambda: 0)
        reader.open()
        kind.syncs = False
        with pytest.raises(psycopg.OperationalError):
            reader.work([Look(lambda: None, [], lambda _: None, plain=True)])
        assert [each.closed for each in opened] == [True, True]
        kind.syncs = True
        reader.close()


@pytest.mark.parametrize(
    ("code", "expected"), [("53200", errors.OutOfMemory), ("57014", None)], ids=["room", "canceled"]
)
def test_a_look_that_the_database_refuses_leaves_nothing_to_the_next_one(
    code: str, expected: type[Exception] | None
) -> None:
    refuse = f"DO $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{code}'; END $$"
    with counted() as (connect, _, opened):
        current = Current()
        reader = Reader(connect, current, Common(), lambda: 0)
        refused = Look(lambda: current._cursor.execute(refuse).fetchall(), [], lambda _: None)
        with nullcontext() if expected is None else pytest.raises(expected):
            [outcome] = reader.work([refused])
            assert outcome.check(CatalogAway)
        assert all(each.closed for each in opened)
        assert reader.work([Look(lambda: current._cursor.execute("SELECT 1").fetchall(), [], lambda _: None)]) == [
            [(1,)]
        ]
        reader.settle()
        reader.close()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", "primary"),
        ("&target_session_attrs=read-write", "read-write"),
        ("&target_session_attrs=any", "primary"),
        ("&target_session_attrs=prefer-standby", "primary"),
    ],
    ids=["usual", "told", "any", "replica"],
)
def test_what_is_looked_up_is_not_that_of_a_replica(more: str, expected: str) -> None:
    with closing(connector(postgres().url("public") + more)()) as connection:
        assert connection.info.get_parameters()["target_session_attrs"] == expected


def test_no_time_limit_of_the_server_ends_what_takes_long() -> None:
    with closing(postgres().connect("public")) as connection:
        query = "SELECT name FROM pg_settings WHERE name ~ '^(statement|lock|transaction|idle_session)_timeout$'"
        limits = [name for (name,) in connection.execute(query).fetchall()]
    assert len(limits) >= 3  # PostgreSQL 17 has one more
    given = "".join(f"%20-c{name}%3D1h" for name in limits)
    with closing(connector(postgres().url("public") + given)()) as connection:
        assert [connection.execute(f"SHOW {name}").fetchone() for name in limits] == [("0",)] * len(limits)


@contextmanager
def pipelined() -> Iterator[Connection]:
    with counted() as (connect, _, _):
        connection = connect()
        try:
            connection.execute("CREATE TEMPORARY TABLE note (number integer)")
            connection.commit()
            connection.pipelined()
            yield connection
        finally:
            connection.close()


def send(connection: Connection, *queries: str) -> None:
    """Send statements, and wait for all of them; the failure of one is raised there, or at one of those after it."""
    for query in queries:
        connection.execute(query)
    connection.sync()


def test_a_transaction_of_which_a_statement_failed_unseen_is_not_committed() -> None:
    with pipelined() as connection:
        connection.begin()
        with pytest.raises(psycopg.errors.DivisionByZero):
            send(connection, "INSERT INTO note VALUES (1)", "SELECT 1 / 0", "INSERT INTO note VALUES (2)", "SELECT 1")
        connection.rollback()
        assert connection.execute("SELECT number FROM note").fetchall() == []


def test_a_transaction_is_rolled_back_of_which_a_statement_failed_that_nobody_waited_for() -> None:
    with pipelined() as connection:
        connection.begin()
        connection.execute("INSERT INTO note VALUES (1)")
        connection.execute("SELECT 1 / 0")
        connection.rollback()
        connection.begin()
        connection.execute("INSERT INTO note VALUES (2)")
        connection.commit()
        assert connection.execute("SELECT number FROM note").fetchall() == [(2,)]


def test_a_rollback_on_a_lost_connection_fails() -> None:
    with pipelined() as connection:
        connection.begin()
        with postgres().connect("public") as other:
            other.execute("SELECT pg_terminate_backend(%s, 60000)", (connection.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            connection.rollback()
        assert connection.closed


def test_a_commit_that_the_server_turns_into_a_rollback_fails() -> None:
    with pipelined() as connection:
        connection.begin()
        with pytest.raises(psycopg.errors.DivisionByZero):
            send(connection, "INSERT INTO note VALUES (1)", "SELECT 1 / 0")
        with suppress(psycopg.errors.PipelineAborted):
            connection.sync()
        with pytest.raises(psycopg.OperationalError, match="ROLLBACK"):
            connection.commit()


def test_what_should_have_been_prepared_after_a_failure_is_prepared_later() -> None:
    with pipelined() as connection:
        query = "SELECT 7"
        for _ in range(connection.prepare_threshold or 0):
            assert connection.execute(query).fetchone() == (7,)
        connection.begin()
        with pytest.raises(psycopg.errors.DivisionByZero):
            send(connection, "SELECT 1 / 0", query)
        connection.rollback()
        for _ in range(2 * (connection.prepare_threshold or 0)):
            assert connection.execute(query).fetchone() == (7,)


def test_each_statement_of_a_pipeline_gets_its_own_rows() -> None:
    with pipelined() as connection:
        statements = Statements(connection)
        asked = [statements.execute("SELECT %s::integer", (number,)) for number in range(100)]
        assert [cursor.fetchall() for cursor in asked] == [[(number,)] for number in range(100)]


def test_each_transaction_sees_what_was_committed_before_its_statements_whatever_the_server_prefers() -> None:
    strict = "%20-cdefault_transaction_isolation%3Dserializable"
    with closing(connector(postgres().url("public") + strict)()) as connection:
        connection.pipelined()
        connection.begin()
        assert connection.execute("SHOW transaction_isolation").fetchone() == ("read committed",)


def test_a_failure_that_nobody_has_waited_for_is_told_to_who_waits_next() -> None:
    with pipelined() as connection:
        connection.begin()
        connection.execute("SELECT 1 / 0")
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1").fetchone()
        connection.rollback()


def test_more_is_sent_ahead_than_the_server_and_the_sockets_hold() -> None:
    with pipelined() as connection:
        large = "x" * 1_000_000
        asked = [connection.execute("SELECT %s::text", (large,)) for _ in range(20)]
        assert all(each.fetchone() == (large,) for each in asked)


def test_a_connection_is_lost_whose_answers_cannot_be_read_to_the_end() -> None:
    with pipelined() as connection:
        asked = connection.execute("SELECT 'infinity'::timestamptz")  # which Python has no value for
        connection.execute("SELECT 1")
        with pytest.raises(psycopg.DataError):
            asked.fetchall()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 2").fetchall()
        assert connection.closed
