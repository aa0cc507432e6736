"""Keeps fronts from using a catalog while it is copied, or migrated in a way that they cannot live with.

The command holds an advisory lock of its session; each change and each renewal of a lease shares it until its
transaction ends, or is refused.  PostgreSQL releases such a lock when the session ends, so a command that is killed
leaves none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from splitd.errors import CatalogOutdated

_KEY = f"{0x73706C63}, hashtext(current_schema())"
SHARE = f"pg_try_advisory_xact_lock_shared({_KEY})"
"""An expression that is true if no such command runs; none begins before the end of the transaction then."""
EXCLUDED = "`splitctl catalog copy` or `migrate` is using the catalog: no front may use it meanwhile"
_WAIT = "3s"
"""How long to wait for changes that are under way, and for another command that was killed."""


class Excluded(psycopg.OperationalError):
    """No front may use the catalog now; the message says why."""


def hold_off(connection: Any) -> None:
    """Keep such commands from beginning before the end of the transaction.

    :raise Excluded: one runs.
    """
    if not connection.execute(f"SELECT {SHARE}").fetchone()[0]:
        raise Excluded(EXCLUDED)


@contextmanager
def no_front(connection: Any) -> Iterator[None]:
    """Keep fronts from using a catalog until the end of the block.

    Changes that are under way are waited for.

    :param connection: one in which no transaction is open.
    :raise CatalogOutdated: another such command runs.
    """
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout TO '{_WAIT}'")
            connection.execute(f"SELECT pg_advisory_lock({_KEY})")
    except psycopg.errors.LockNotAvailable as problem:
        raise CatalogOutdated(
            "another `splitctl catalog copy` or `migrate` is using the catalog, or was killed and has not ended yet"
        ) from problem
    try:
        yield
    finally:
        if not connection.closed:
            connection.rollback()
            connection.execute(f"SELECT pg_advisory_unlock({_KEY})")
            connection.commit()
