"""The seams for names: moves, copies, properties, locks.  What `splitd.interfaces` says of the catalog holds here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.conditions import Condition
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.properties import PropertyChanges


@attrs.frozen
class Details:
    """What is known of a file or collection besides what it is.

    :param properties: what clients note of it; see `splitd.model.properties`.
    :param locks: those that cover it.
    """

    properties: Mapping[str, str]
    locks: Sequence[Lock]


class INamespace(Interface):
    """Other names for what is there, and what clients note of it.  The catalog provides it too.

    A change is one step, whatever the size of the tree.  What `ICatalog` says of changes holds.
    """

    def move(source: str, target: str, condition: Condition, *, overwrite: bool) -> Deferred[bool]:
        """Give a file, or a collection with all that is in it, another name.  What was noted of them goes along.

        :param condition: for `source`.
        :param overwrite: whether what is at `target` is replaced.
        :return: a Deferred of whether there was nothing at `target` before.
        :raise NotFound: there is nothing at `source`.
        :raise Entangled: source and target are the same, or one lies inside the other.
        :raise ParentMissing: the collection that `target` should lie in is not there.
        :raise PreconditionFailed: there is something at `target`, too, and it is not to be replaced.
        """

    def copy(source: str, target: str, condition: Condition, *, deep: bool, overwrite: bool) -> Deferred[bool]:
        """Make a copy of a file or a collection, and of what was noted of it.  The parts of files are shared.

        :param deep: with all that is in it; else a collection's copy is empty.  The rest is as for `move`.
        """

    def change_properties(path: str, changes: PropertyChanges, condition: Condition) -> Deferred[None]:
        """Change what is noted of a file or collection.

        :raise NotFound: there is nothing of this name.
        :raise PropertiesTooLarge: it would be too much.
        """

    def details(paths: Sequence[str]) -> Deferred[list[Details]]:
        """What is known of some files and collections, in the same order; nothing of those that are not there."""


class ILocks(Interface):
    """Locks: who may change what, until when.  The catalog provides it too; what `ICatalog` says of changes holds."""

    def lock(requested: Lock, condition: Condition, empty: Manifest) -> Deferred[bool]:
        """Take a lock.

        :param requested: the lock, with a token that is new.
        :param empty: a file without bytes, which is put where there is nothing.
        :return: a Deferred of whether there was nothing.
        :raise LockConflict: other locks are in the way.
        :raise ParentMissing: the collection that the new file should lie in is not there.
        """

    def refresh(path: str, expires_ms: int, condition: Condition) -> Deferred[list[Lock]]:
        """Let the locks that cover a path and whose tokens are in the condition last until another time.

        :return: a Deferred of these locks.
        :raise LockUnknown: there is none.
        """

    def unlock(path: str, token: str, condition: Condition) -> Deferred[None]:
        """Release a lock.

        :raise LockUnknown: there is none of this token, or it does not cover `path`.
        """

    def check(path: str, condition: Condition, *, changing: bool) -> Deferred[None]:
        """Make sure that a condition holds now, and that no lock forbids a change of what is at `path`.

        :param changing: whether it is to be changed; locks forbid nothing to those who look.
        :raise PreconditionFailed: the condition does not hold.
        :raise Locked: it is to be changed, and a lock forbids it.
        """
