"""No connection to a database is left open, whatever fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from splitd.catalog.sql.connecting import connector
from splitd.catalog.sql.state import Common
from splitd.catalog.sql.workers import Connect, Current, Look, Reader, Writer
from tests.postgres import postgres


class Breaking(psycopg.Connection):
    """Fails when it commits, or as if it were lost, when it rolls back."""

    commits = True
    rolls_back = True

    def commit(self) -> None:
        if not self.commits and self.info.transaction_status == TransactionStatus.INTRANS:
            raise psycopg.OperationalError("no space left")
        super().commit()

    def rollback(self) -> None:
        if not self.rolls_back:
            raise psycopg.OperationalError("the connection is lost")
        super().rollback()


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
        kind.rolls_back = False
        with pytest.raises(psycopg.OperationalError):
            reader.work([Look(lambda: None, [], lambda _: None)])
        assert [each.closed for each in opened] == [True, False]
        kind.rolls_back = True
        reader.close()
