"""What `splitctl catalog` needs of a database.  No other command imports it: all would start a quarter slower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from splitd.catalog.sql.connecting import connector
from splitd.catalog.sql.copying import copy_journal, read_journal
from splitd.catalog.sql.front_rows import read_fronts
from splitd.catalog.sql.migrations import migrate, migrations, refuse_older, version_of
from splitd.cli.errors import ServerRefused
from splitd.errors import CatalogOutdated
from splitd.takeover.copying_back import copy_back

__all__ = [
    "connected",
    "copy_back",
    "copy_journal",
    "migrate",
    "migrations",
    "read_fronts",
    "read_journal",
    "refuse_older",
    "version_of",
]


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """Return a connection to a database, which is closed at the end of the block.

    :raise ServerRefused: the database does not answer, or says no.
    """
    try:
        connection = connector(url)()
        try:
            yield connection
        finally:
            connection.close()
    except (psycopg.Error, CatalogOutdated) as problem:
        raise ServerRefused(str(problem).strip(), 503) from problem
