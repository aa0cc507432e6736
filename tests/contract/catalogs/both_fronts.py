"""Two fronts on one catalog in a database."""

from __future__ import annotations

from typing import Any

import attrs

from splitd.catalog.sql.catalog import StoredCatalog
from splitd.catalog.sql.connecting import connector
from splitd.model.conditions import ALWAYS, Condition
from storaged.system.clocks import WallClock
from tests.catalogs import NODES, manifest
from tests.ledger import begin, commit
from tests.postgres import postgres


@attrs.define
class Both:
    """Two fronts, and a look at the rows."""

    fronts: list[StoredCatalog]
    schema: str

    def new_front(self, number: int, clock: Any = None, **more: Any) -> StoredCatalog:
        from twisted.internet import reactor

        named = {"front": f"front {number}", "address": f"host{number}:8080"}
        connect = connector(postgres().url(self.schema))
        return StoredCatalog(connect, reactor, WallClock(), clock or reactor, **named, **more)

    def rows(self, query: str) -> list[Any]:
        """Run a query beside the fronts."""
        with postgres().connect(self.schema) as connection:  # which is closed at the end
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    async def put(self, number: int, path: str, upload: str, condition: Condition = ALWAYS) -> bool:
        ledger = self.fronts[number].ledger
        await begin(ledger, upload, path, NODES)
        return await commit(ledger, path, manifest(upload), condition)


async def is_blocked(both: Both, pid: int) -> bool:
    """Whether a connection waits for what another one has locked."""
    query = f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {pid} = ANY(pg_blocking_pids(pid)))"
    return bool(both.rows(query)[0][0])
