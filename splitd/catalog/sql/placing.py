"""Commits uploads by few statements, where nothing speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from splitd.catalog.sql.chains import chain_to, columns_of, layout_of
from splitd.catalog.sql.exclusion import SHARE
from splitd.catalog.sql.rows import array, array_of, array_of_texts, encode_said
from splitd.catalog.sql.stamps import COUNT, Touches
from splitd.catalog.sql.state import NAMES_GATE, Common
from splitd.interfaces.uploads import Commit
from splitd.model.conditions import Condition
from splitd.model.packing import key_of
from splitd.model.records import FileCommitted


def is_plain(commit: Commit) -> bool:
    """Whether a commit puts a file with parts, all of which are stored, and its condition holds wherever nothing is."""
    manifest = commit.manifest
    whole = manifest.nodes and "" not in manifest.nodes and not manifest.packed_segments
    return bool(whole) and holds_if_free(commit.condition, commit.path)


def holds_if_free(condition: Condition, path: str) -> bool:
    """Whether a condition holds for a file that comes to a path where nothing is, if there are no locks."""
    judged = condition.match is not None or condition.if_header is not None or condition.held is not None
    return not (judged or condition.collections or path.endswith("/"))


def place_at_once(cursor: Any, commits: Sequence[Commit], common: Common, slot: int) -> Any:
    """Ask to commit those of some uploads whose files come to paths where nothing is.

    The collections of the paths are locked by a statement of their own, because only the next one sees all that others
    have put there before.

    :param cursor: of a transaction in which nothing was asked.
    :param commits: plain ones; no two of them touch each other.
    :param slot: the number of the connection.
    :return: what rows can be fetched of, which have the numbers, from 1 on, of those that were committed; the others
        are as they were.  None if nothing was sent, because something must be looked at first.
    """
    if any(len(commit.manifest.nodes) > common.widest for commit in commits):
        return None
    chains = [chain_to(common.folders, commit.path) for commit in commits]
    nodes = [common.numbers.known(commit.manifest.nodes) for commit in commits]
    if None in chains or None in nodes:
        return None
    asked = [(commit.asked, chain) for commit, chain in zip(commits, chains, strict=True) if chain is not None]
    if any(layout is not None and layout != layout_of(chain) for layout, chain in asked):
        return None
    try:
        uploads = [key_of(commit.manifest.upload) for commit in commits]
    except ValueError:
        return None
    last = {chain[-1][2]: chain[-1] for chain in chains if chain is not None}
    above = {row[2]: row for chain in chains if chain is not None for row in chain if row[2] not in last}
    cursor.execute(f"SELECT pg_advisory_xact_lock_shared({NAMES_GATE})")
    for setting, strength, rows in (("above", "KEY SHARE", above), ("last", "NO KEY UPDATE", last)):
        if rows:
            digests = array([row[4] for row in rows.values()])
            cursor.execute(_HOLD.format(setting=setting, strength=strength), [*columns_of(rows.values()), digests])
    touches = Touches(cursor, slot)
    for commit in commits:
        touches.note(FileCommitted(commit.path, commit.manifest))
    manifests = [commit.manifest for commit in commits]
    values = {
        "held": str(len(last)),
        "held_above": str(len(above)) if above else "",
        "uploads": array(uploads),
        "parents": array([chain[-1][2] for chain in chains if chain is not None]),
        "names": array([commit.path.rpartition("/")[2].encode() for commit in commits]),
        "nodes": array_of_texts([array_of(each or ()) for each in nodes]),
        "said": array([encode_said(each.said) for each in manifests]),
        **{name: array([getattr(each, name) for each in manifests]) for name in _NUMBERS},
        "slot": slot,
        "groups": touches.column,
    }
    return cursor.execute(_PLACE, values)


_NUMBERS = "size", "created_ms", "data", "parity", "unit"

# How many rows were locked is known to the next statement, which does nothing if these are too few.
_HOLD = """SELECT set_config('splitd.{setting}', count(*)::text, true) FROM (
        SELECT FROM unnest(%s::bigint[], %s::bytea[], %s::bigint[], %s::bytea[]) AS step(parent, name, id, digest)
        JOIN entry e ON e.parent = step.parent AND e.name = step.name AND e.id = step.id
            AND sha256(e.properties) IS NOT DISTINCT FROM step.digest
        ORDER BY e.id FOR {strength} OF e
    ) AS held"""

_PLACE = f"""WITH allowed AS MATERIALIZED (
        SELECT {SHARE} AND current_setting('splitd.last', true) = %(held)s
            AND coalesce(current_setting('splitd.above', true), '') = %(held_above)s
            AND NOT EXISTS (SELECT FROM lock) AND NOT EXISTS (SELECT FROM meter) AS so
    ), given AS MATERIALIZED (
        SELECT upload, parent, name, nodes::smallint[], said, size, created_ms, data, parity, unit, number
        FROM unnest(%(uploads)s::bytea[], %(parents)s::bigint[], %(names)s::bytea[], %(nodes)s::text[],
            %(said)s::bytea[], %(size)s::bigint[], %(created_ms)s::bigint[], %(data)s::smallint[],
            %(parity)s::smallint[], %(unit)s::int[]) WITH ORDINALITY
            AS each(upload, parent, name, nodes, said, size, created_ms, data, parity, unit, number)
    ), ended AS (
        DELETE FROM upload u USING given
        WHERE (SELECT so FROM allowed) AND u.upload = given.upload AND u.nodes = given.nodes
            AND NOT EXISTS (SELECT FROM entry e WHERE e.parent = given.parent AND e.name = given.name)
            AND NOT EXISTS (SELECT FROM entry e WHERE e.parent = given.parent AND e.name = given.name || '/'::bytea)
        RETURNING given.*
    ), kept AS (
        INSERT INTO version (upload, size, created_ms, data, parity, unit, nodes, said)
        SELECT upload, size, created_ms, data, parity, unit, nodes, said FROM ended
    ), named AS (
        INSERT INTO entry (parent, name, upload, size) SELECT parent, name, upload, size FROM ended
    ), changed AS (
        UPDATE entry e SET modified_ms = last.created_ms
        FROM (SELECT DISTINCT ON (parent) parent, created_ms FROM ended ORDER BY parent, number DESC) AS last
        WHERE e.id = last.parent
    ), counted AS (
        INSERT INTO tally (key, slot, value) SELECT key, %(slot)s, value FROM (
            SELECT 'bytes' AS key, sum(size)::bigint AS value FROM ended
            UNION ALL SELECT 'files', count(*) FROM ended
            UNION ALL SELECT 'parts on ' || node.id, parts.count FROM node JOIN (
                SELECT part.number, count(*) FROM ended, unnest(ended.nodes) AS part(number) GROUP BY part.number
            ) AS parts USING (number)
            UNION ALL SELECT 'uploads', -count(*) FROM ended
        ) AS more WHERE value != 0 ORDER BY key
        ON CONFLICT (key, slot) DO UPDATE SET value = tally.value + excluded.value
    ), {COUNT.format(where="EXISTS (SELECT FROM ended)")}
    SELECT number FROM ended"""
