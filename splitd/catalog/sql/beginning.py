"""Begins uploads by one statement, where nothing speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from splitd.catalog.sql.ids import NodeNumbers
from splitd.catalog.sql.rows import array, array_of, array_of_texts
from splitd.interfaces.uploads import Start
from splitd.model.packing import key_of
from splitd.model.path_faults import catalog_fault_of


@attrs.frozen
class Beginning:
    """Uploads that a change begins, if it is allowed; it changes nothing else.

    :param front: the id of the front that begins them.
    :param now_ms: returns the time of day, in milliseconds since 1970; called in any thread.
    """

    starts: Sequence[Start]
    front: str
    now_ms: Callable[[], int]


def begin_at_once(cursor: Any, beginnings: Sequence[Beginning], numbers: NodeNumbers, slot: int) -> Any:
    """Ask to begin all uploads of some changes.

    :param slot: the number of the connection.
    :return: what a row can be fetched of, which says whether all were begun; else none was.  None if nothing was sent,
        because something must be looked at first.
    """
    rows = [(start, each.front) for each in beginnings for start in each.starts]
    nodes = [numbers.known(start.nodes) for start, _ in rows]
    if any(each is None for each in nodes) or any(catalog_fault_of(start.path) for start, _ in rows):
        return None
    try:
        keys = [key_of(start.upload) for start, _ in rows]
    except ValueError:
        return None
    values = {
        "keys": array(keys),
        "paths": array([start.path.encode() for start, _ in rows]),
        "nodes": array_of_texts([array_of(each or ()) for each in nodes]),
        "fronts": array_of_texts([front for _, front in rows]),
        "now_ms": beginnings[0].now_ms(),
        "slot": slot,
    }
    return cursor.execute(_BEGIN, values)


_BEGIN = """WITH begun AS (
        INSERT INTO upload (upload, path, nodes, time_ms, front)
        SELECT upload, path, nodes::smallint[], %(now_ms)s, front
        FROM unnest(%(keys)s::bytea[], %(paths)s::bytea[], %(nodes)s::text[], %(fronts)s::text[])
            AS new(upload, path, nodes, front)
        WHERE NOT EXISTS (SELECT FROM upload WHERE upload = ANY(%(keys)s::bytea[]))
            AND NOT EXISTS (SELECT FROM version WHERE upload = ANY(%(keys)s::bytea[]))
            AND NOT EXISTS (SELECT FROM doomed WHERE upload = ANY(%(keys)s::bytea[]))
        RETURNING upload
    ), counted AS (
        INSERT INTO tally (key, slot, value) SELECT 'uploads', %(slot)s, count(*) FROM begun HAVING count(*) > 0
        ON CONFLICT (key, slot) DO UPDATE SET value = tally.value + excluded.value
    )
    SELECT count(*) > 0 FROM begun"""
