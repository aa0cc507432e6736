"""Decides whether conditions and locks permit a change.  Pure."""

from __future__ import annotations

import attrs

from splitd.catalog.state import State
from splitd.errors import Locked, NotACollection, NotFound, PreconditionFailed
from splitd.model.conditions import Condition, Held
from splitd.model.if_header import Standing
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.tree import Collection, parent


def refuse_failed(
    state: State, condition: Condition, path: str, present: Manifest | Collection | None, now_ms: int
) -> None:
    """Refuse a change if its condition does not hold.

    :param present: the file or collection at `path`; None if there is none.
    :raise NotACollection: a path in `condition.collections` is a file's.
    :raise PreconditionFailed: any other part of the condition does not hold.
    """
    for each in condition.collections:
        if isinstance(state.tree.lookup(each), Manifest):
            raise NotACollection(f"{each} is a file, and a slash at the end of a URL asks for a collection")
    failed = condition.failed(_etag(present), _modified_ms(present))
    if not failed and condition.if_header is not None and not _is_so(state, condition, now_ms):
        failed = "If"
    if failed:
        raise PreconditionFailed(f"{path}: {failed} does not hold")
    if condition.held is not None and _is_overtaken(state, condition.held, now_ms):
        raise PreconditionFailed(f"{path}: the lock has expired, and another one was taken since")


def _is_so(state: State, condition: Condition, now_ms: int) -> bool:
    held: dict[str, set[str]] = {}
    for each, token in condition.held.tokens if condition.held is not None else ():
        held.setdefault(each, set()).add(token)

    def standing(path: str) -> Standing:
        tokens = {lock.token for lock in state.locks.covering(path, now_ms)}
        return Standing(_etag(state.tree.lookup(path)), tokens | _still_held(state, condition, path, held.get(path)))

    return condition.if_header is None or condition.if_header.holds(standing)


def hold(state: State, condition: Condition, path: str, now_ms: int) -> Condition:
    """Return the condition for the end of a long change that begins now; see `Held`.

    :param path: the path to be changed.
    """
    tokens = condition.tokens()
    if not tokens:
        return condition
    held = {
        (each, lock.token)
        for each in condition.paths() | {path}
        for lock in state.locks.covering(each, now_ms)
        if lock.token in tokens
    }
    return attrs.evolve(condition, held=Held(state.locks.taken, frozenset(held)))


def _still_held(state: State, condition: Condition, path: str, held: set[str] | None) -> set[str]:
    """Return the tokens of the locks on a path that permitted the change when it began.

    There are none if another lock was taken since.

    :param held: those of `condition.held`.
    """
    if not held or condition.held is None or state.locks.was_taken(path, condition.held.since):
        return set()
    return held


def _is_overtaken(state: State, held: Held, now_ms: int) -> bool:
    """Whether a lock that permitted the change when it began is gone, and another lock was taken since."""
    return any(
        state.locks.was_taken(path, held.since)
        and all(lock.token != token for lock in state.locks.covering(path, now_ms))
        for path, token in held.tokens
    )


def _etag(present: Manifest | Collection | None) -> str | None:
    return present.etag if isinstance(present, Manifest) else None if present is None else ""


def _modified_ms(present: Manifest | Collection | None) -> int | None:
    return present.created_ms if isinstance(present, Manifest) else None if present is None else present.modified_ms


def refuse_locked_content(state: State, condition: Condition, path: str, now_ms: int) -> None:
    """Refuse to change the bytes or the properties of a file or collection that is locked.

    :raise Locked: a lock on `path` forbids the change.
    """
    _refuse(path, state.locks.barring(path, condition.tokens(), now_ms, condition.user))


def refuse_locked_name(state: State, condition: Condition, path: str, now_ms: int) -> None:
    """Refuse to add, replace or remove a name if a lock forbids it.

    :raise Locked: a lock on the parent collection, on `path`, or on something below `path` forbids the change.
    """
    tokens, user = condition.tokens(), condition.user
    barring = state.locks.barring(parent(path), tokens, now_ms, user)
    barring += state.locks.barring(path, tokens, now_ms, user)
    # What lies in a collection does not lie in a file of the same name.
    alone = condition.is_key or state.tree.has_file(path)
    for lock in () if alone else state.locks.below(path, now_ms):
        barring += state.locks.barring(lock.path, tokens, now_ms, user)
    _refuse(path, barring)


def refuse_locked_removal(state: State, condition: Condition, path: str, now_ms: int) -> None:
    """Refuse to remove a name if a lock forbids it, or the removal of implied collections that goes with it.

    :raise Locked: a lock forbids it.
    """
    if not state.locks:
        return
    refuse_locked_name(state, condition, path, now_ms)
    pruned = state.tree.first_pruned(path)
    if pruned is not None:
        refuse_locked_name(state, condition, pruned, now_ms)


def refuse_removal(state: State, condition: Condition, path: str, now_ms: int) -> None:
    """Refuse to remove a name if there is none, or if a condition or a lock forbids it.

    :raise NotFound: nothing has this path.
    :raise NotACollection, PreconditionFailed: as `refuse_failed` does.
    :raise Locked: as `refuse_locked_removal` does.
    """
    present = state.tree.lookup(path)
    if present is None:
        raise NotFound(f"there is no {path}")
    refuse_failed(state, condition, path, present, now_ms)
    refuse_locked_removal(state, condition, path, now_ms)


def refuse_locked_file(
    state: State, condition: Condition, path: str, present: Manifest | Collection | None, now_ms: int
) -> None:
    """Refuse to put a file at a path if a lock forbids it.

    :param present: the file or collection at `path`; None if there is none.
    :raise Locked: a lock forbids it, or the making of the collections that the path lies in.
    """
    if not state.locks:
        return
    if present is None:
        refuse_locked_name(state, condition, path, now_ms)
        missing = state.tree.first_missing(path)
        if missing is not None:
            refuse_locked_name(state, condition, missing, now_ms)
    else:
        refuse_locked_content(state, condition, path, now_ms)


def _refuse(path: str, barring: list[Lock]) -> None:
    if barring:
        paths = tuple(dict.fromkeys(lock.path for lock in barring))
        raise Locked(f"{path}: a lock on {paths[0]} forbids it, and its token was not sent", paths)
