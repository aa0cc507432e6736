"""Versions of the schema.  Each migration is a file of SQL, which is applied once, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import attrs

from splitd.errors import CatalogOutdated

_LOCK = 0x73706C69
"""The key of the advisory lock that migrations hold."""


@attrs.frozen
class Migration:
    """A step from one version of the schema to the next one.

    :param version: the version that it leads to.
    """

    version: int
    name: str
    sql: str


def migrations() -> Sequence[Migration]:
    """Return all migrations, in the order of their versions, which begin with 1."""
    folder = files("splitd.catalog.sql") / "schema"
    names = sorted(each.name for each in folder.iterdir() if each.name.endswith(".sql"))
    return [Migration(int(name[:4]), name[5:-4], (folder / name).read_text()) for name in names]


def version_of(connection: Any) -> int:
    """Return the version of a database's schema; 0 if it is empty."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('migration') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute("SELECT coalesce(max(version), 0) FROM migration")
        version: int = cursor.fetchone()[0]
        return version


def migrate(connection: Any) -> list[Migration]:
    """Bring a database to the newest version of the schema.  Several that do so at once wait for each other.

    :param connection: a psycopg connection in which no transaction is open.
    :return: the migrations that were applied.
    :raise CatalogOutdated: the database has a newer version than this program knows.
    """
    applied = []
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        present = version_of(connection)
        refuse_newer(present)
        if not present:
            cursor.execute("CREATE TABLE migration (version integer PRIMARY KEY, name text NOT NULL)")
        for each in migrations():
            if each.version > present:
                cursor.execute(each.sql)
                cursor.execute("INSERT INTO migration VALUES (%s, %s)", (each.version, each.name))
                applied.append(each)
    return applied


def refuse_newer(version: int) -> None:
    """Refuse a schema that this program does not know.

    :raise CatalogOutdated: the version is higher than the newest one here.
    """
    newest = migrations()[-1].version
    if version > newest:
        raise CatalogOutdated(f"the catalog's schema has version {version}, this program knows up to {newest}")


def refuse_older(version: int) -> None:
    """Refuse a schema that must be migrated first.

    :raise CatalogOutdated: the version is lower than the newest one here.
    """
    newest = migrations()[-1].version
    if version < newest:
        raise CatalogOutdated(
            f"the catalog's schema has version {version}, {newest} is needed: run splitctl catalog migrate"
        )
