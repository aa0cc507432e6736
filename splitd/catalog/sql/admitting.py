"""Finds out by one statement which paths are free for new files, where a front knows the collections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from splitd.catalog.sql.chains import Row, chain_to, columns_of
from splitd.catalog.sql.rows import array, decode_properties, is_text
from splitd.model.properties import LAYOUT


def ask_free(cursor: Any, paths: Sequence[str], known: Mapping[str, Row]) -> Callable[[], set[int]] | None:
    """Ask which paths are free, of those that lie in collections without a layout of their own.

    :param paths: none of them ends with a slash.
    :param known: rows of collections by their places; see `Chains`.
    :return: returns the indexes of the free paths; none if something else must be looked at.  None if nothing was sent,
        because a collection is not known.
    """
    chains = [chain_to(known, path) if path.startswith("/") and is_text(path) else None for path in paths]
    steps = {row[2]: row for chain in chains for row in chain or ()}
    if None in chains:
        return None
    parents, names, ids = columns_of(steps.values())
    above = array([chain[-1][2] for chain in chains if chain is not None])
    leaves = array([path.rpartition("/")[2].encode() for path in paths])
    asked = cursor.execute(_ASK, (parents, names, ids, above, leaves))

    def free() -> set[int]:
        rows = asked.fetchall()
        there = {id_ for _, id_, properties in rows if id_ and LAYOUT not in decode_properties(properties)}
        taken = {number - 1 for number, _, _ in rows}
        return set() if there != steps.keys() or _LOCKS in taken else set(range(len(paths))) - taken

    return free


_LOCKS = -2

_ASK = f"""SELECT 0::bigint, e.id, e.properties
        FROM unnest(%s::bigint[], %s::bytea[], %s::bigint[]) AS step(parent, name, id)
        JOIN entry e ON e.parent = step.parent AND e.name = step.name AND e.id = step.id
    UNION ALL
    SELECT number, NULL, NULL FROM unnest(%s::bigint[], %s::bytea[]) WITH ORDINALITY AS leaf(parent, name, number)
        WHERE EXISTS (SELECT FROM entry e WHERE e.parent = leaf.parent AND e.name = leaf.name)
        OR EXISTS (SELECT FROM entry e WHERE e.parent = leaf.parent AND e.name = leaf.name || '/'::bytea)
    UNION ALL
    SELECT {_LOCKS + 1}, NULL, NULL WHERE EXISTS (SELECT FROM lock)"""
