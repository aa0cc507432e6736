"""The rows of the fronts that share a database, for operators; `fronts` writes them."""

from __future__ import annotations

from typing import Any

from splitd.model.fronts import SeenFront

LEASE_S = 20
"""How long a front's lease lasts without being renewed."""

_SEEN = """SELECT f.id, f.address, f.version, (extract(epoch FROM f.began) * 1000)::bigint,
        (extract(epoch FROM f.expires - %s * interval '1 second') * 1000)::bigint, f.expires < now(),
        ARRAY(SELECT task FROM lease l WHERE l.front = f.id AND l.expires > now() ORDER BY task)
    FROM front f ORDER BY f.began, f.id"""


def read_fronts(cursor: Any, asked: str) -> list[SeenFront]:
    """Read the fronts that run, and those that have gone lately, the one that has run longest first.

    :param asked: the id of the front that asks; empty for none.
    """
    return [
        SeenFront(
            id=front,
            address=address,
            version=version,
            since_ms=since_ms,
            heard_ms=heard_ms,
            gone=gone,
            upkeep=upkeep,
            asked=front == asked,
        )
        for front, address, version, since_ms, heard_ms, gone, upkeep in cursor.execute(_SEEN, (LEASE_S,)).fetchall()
    ]
