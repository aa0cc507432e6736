"""The interfaces for moves, copies, properties and locks.  They keep the rules of `ICatalog` for changes."""

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
    """The properties and locks of a file or collection.

    :param properties: its properties; see `splitd.model.properties`.
    :param locks: the locks that cover it.
    """

    properties: Mapping[str, str]
    locks: Sequence[Lock]


@attrs.frozen
class AskedLayout:
    """The layout that a collection asks for.

    :param layout: the layout, as "6+2"; empty if neither the collection nor any that it lies in asks for one.
    :param source: the path of the collection that has the property; empty if there is none.
    """

    layout: str = ""
    source: str = ""


class INamespace(Interface):
    """Moves, copies and properties of files and collections.  The catalog provides it.

    A change is one step, whatever the size of the tree.
    """

    def move(source: str, target: str, condition: Condition, *, overwrite: bool) -> Deferred[bool]:
        """Move a file, or a collection with all that is in it, to another path.  The properties move along.

        :param condition: the condition for `source`.
        :param overwrite: whether a file or collection at `target` is replaced.
        :return: a Deferred that fires with whether nothing had the path `target` before.
        :raise NotFound: nothing has the path `source`.
        :raise Entangled: source and target are the same, or one lies inside the other.
        :raise NameTaken: `source` is a collection, and `target` is a file beside another collection of this name.
        :raise ParentMissing: the collection that `target` lies in does not exist, or is a file.
        :raise PreconditionFailed: something has the path `target` and is not to be replaced, or the condition does not
            hold.
        """

    def copy(source: str, target: str, condition: Condition, *, deep: bool, overwrite: bool) -> Deferred[bool]:
        """Copy a file or a collection, with its properties.  The copies of files share the parts.

        :param deep: whether the members of a collection are copied, too; if not, its copy is empty.  All else is as for
            `move`.
        """

    def change_properties(path: str, changes: PropertyChanges, condition: Condition) -> Deferred[None]:
        """Change the properties of a file or collection.

        :raise NotFound: nothing has this path.
        :raise PropertiesTooLarge: its properties would take too many bytes.
        """

    def details(paths: Sequence[str]) -> Deferred[list[Details]]:
        """Look up the properties and locks of some files and collections.

        :return: a Deferred that fires with the details, in the same order; a path that nothing has gets no properties.
        """

    def asked_layout(path: str) -> Deferred[AskedLayout]:
        """Look up the layout that files in a collection are stored with: the property
        `splitd.model.properties.LAYOUT` of the nearest collection that has it, the collection itself or one above.

        :return: a Deferred that fires with the layout and the collection that asks for it.
        :raise NotFound: nothing has this path.
        :raise NotACollection: a file has this path.
        """


class ILocks(Interface):
    """Write locks on files and collections.  The catalog provides it."""

    def lock(requested: Lock, condition: Condition, empty: Manifest) -> Deferred[bool]:
        """Take a lock.

        :param requested: the lock, with a new token.
        :param empty: an empty file, which is put at the path if nothing has it.
        :return: a Deferred that fires with whether nothing had the path.
        :raise LockConflict: the lock conflicts with existing ones.
        :raise TooManyLocks: the path, or one below it that the lock would cover, has the most locks that it can have.
        :raise ParentMissing: the collection that the new file would lie in does not exist, or is a file.
        """

    def refresh(path: str, expires_ms: int, condition: Condition) -> Deferred[list[Lock]]:
        """Set when the locks expire that cover a path and whose tokens the condition submits.

        :param expires_ms: their new end, milliseconds since 1970.
        :return: a Deferred that fires with these locks.
        :raise LockUnknown: there is no such lock.
        """

    def unlock(path: str, token: str, condition: Condition) -> Deferred[None]:
        """Release a lock.

        :raise LockUnknown: no lock has this token, or it does not cover `path`.
        """

    def check(path: str, condition: Condition, *, changing: bool) -> Deferred[None]:
        """Check that a condition holds now, and that no lock forbids a change at a path.

        :param changing: whether a change is intended; locks forbid no reads.
        :raise PreconditionFailed: the condition does not hold.
        :raise Locked: a change is intended, and a lock forbids it.
        """
