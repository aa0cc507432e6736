"""Versions of the schema.  Each migration is a file of SQL, which is applied once, in one transaction.

A migration that programs of an older version can live with says so in a line of its own, `-- serves 3`: those that know
version 3 or a newer one may go on, and may even start.  Without such a line, only programs that know it may.  A change
of what rows mean is a migration, too, even if no table changes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.resources import files
from typing import Any

import attrs
import psycopg

from splitd.catalog.sql.exclusion import no_front
from splitd.errors import CatalogOutdated

_LOCK = 0x73706C69
"""The key of the advisory lock that migrations hold."""
_WAIT = "3s"
"""How long a migration waits for a table; changes of fronts wait behind it."""
_SERVES = re.compile(r"^-- serves (\d+)$", re.MULTILINE)

_SERVED = """SELECT max(coalesce((to_jsonb(migration) ->> 'serves')::integer, version)) FROM migration
    WHERE version > %s"""
"""It does without the column `serves`, which a database lacks whose last migration was made by an older program."""


@attrs.frozen
class Migration:
    """A step from one version of the schema to the next one.

    :param version: the version that it leads to.
    """

    version: int
    name: str
    sql: str

    @property
    def serves(self) -> int:
        """The oldest version that programs must know to use the tables afterwards."""
        said = _SERVES.search(self.sql)
        return int(said[1]) if said else self.version


def migrations() -> Sequence[Migration]:
    """Return all migrations, in the order of their versions, which begin with 1."""
    folder = files("splitd.catalog.sql") / "schema"
    names = sorted(each.name for each in folder.iterdir() if each.name.endswith(".sql"))
    return [Migration(int(name[:4]), name[5:-4], (folder / name).read_text()) for name in names]


def newest() -> int:
    """Return the version of the schema that this program knows."""
    return migrations()[-1].version


def version_of(connection: Any) -> int:
    """Return the version of a database's schema; 0 if it is empty."""
    if not connection.execute("SELECT to_regclass('migration') IS NOT NULL").fetchone()[0]:
        return 0
    version: int = connection.execute("SELECT coalesce(max(version), 0) FROM migration").fetchone()[0]
    return version


def migrate(connection: Any, known: Sequence[Migration] | None = None) -> list[Migration]:
    """Bring a database to the newest version of the schema.  Several that do so at once wait for each other.

    Fronts may go on meanwhile, if the migrations serve programs of the database's version.

    :param connection: a psycopg connection in which no transaction is open.
    :param known: the migrations, if not those of this program.
    :return: the migrations that were applied.
    :raise CatalogOutdated: the database has a newer version than this program knows; or fronts use it that could not go
        on; or a change of a front holds a table for too long.  Nothing was applied.
    """
    steps = migrations() if known is None else known
    with connection.transaction():
        present = version_of(connection)
    breaks = 0 < present < max((each.serves for each in steps if each.version > present), default=0)
    try:
        with no_front(connection) if breaks else nullcontext():
            return _migrate(connection, steps, breaks=breaks)
    except psycopg.errors.LockNotAvailable as problem:
        raise CatalogOutdated("changes of a front hold the tables of the catalog for too long; try again") from problem


def _migrate(connection: Any, steps: Sequence[Migration], *, breaks: bool) -> list[Migration]:
    applied = []
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        cursor.execute(f"SET LOCAL lock_timeout TO '{_WAIT}'")
        present = version_of(connection)
        refuse_newer(present, steps[-1].version)
        if not present:
            cursor.execute("CREATE TABLE migration (version integer PRIMARY KEY, name text NOT NULL)")
        elif breaks:
            _refuse_fronts(cursor, steps[-1].version)
        pending = [each for each in steps if each.version > present]
        if pending:
            cursor.execute("ALTER TABLE migration ADD COLUMN IF NOT EXISTS serves integer")
        for each in pending:
            cursor.execute(each.sql)
            query = "INSERT INTO migration (version, name, serves) VALUES (%s, %s, %s)"
            cursor.execute(query, (each.version, each.name, each.serves))
            applied.append(each)
    return applied


def _refuse_fronts(cursor: Any, version: int) -> None:
    fronts = cursor.execute("SELECT count(*) FROM front WHERE expires > now()").fetchone()[0]
    if fronts:
        raise CatalogOutdated(
            f"fronts use the catalog: {fronts}. With version {version} their programs cannot go on: stop them first"
        )


def refuse_unknown(connection: Any, knows: int) -> None:
    """Refuse a database that a front must not use.

    :param knows: the version of the schema that the front knows.
    :raise CatalogOutdated: the schema is older, or so much newer that such a front cannot use it.
    """
    refuse_older(version_of(connection), knows)
    reason = why_unknown(connection, knows)
    if reason:
        raise CatalogOutdated(reason)


def why_unknown(connection: Any, knows: int) -> str:
    """Say why a schema is too new for a program that knows a version; empty if it is not."""
    (serves,) = connection.execute(_SERVED, (knows,)).fetchone()
    if serves is None or serves <= knows:
        return ""
    return (
        f"the catalog's schema has version {version_of(connection)}, which serves programs that know {serves} or more;"
        f" this one knows up to {knows}: install the newer program"
    )


def refuse_newer(version: int, knows: int | None = None) -> None:
    """Refuse a schema that this program does not know.

    :param knows: the newest version that is known, if not that of this program.
    :raise CatalogOutdated: the version is higher than that.
    """
    latest = newest() if knows is None else knows
    if version > latest:
        raise CatalogOutdated(f"the catalog's schema has version {version}, this program knows up to {latest}")


def refuse_older(version: int, knows: int | None = None) -> None:
    """Refuse a schema that must be migrated first.

    :param knows: the version that is needed, if not the newest one that this program knows.
    :raise CatalogOutdated: the version is lower than that.
    """
    needed = newest() if knows is None else knows
    if version < needed:
        raise CatalogOutdated(
            f"the catalog's schema has version {version}, {needed} is needed: run splitctl catalog migrate"
        )
