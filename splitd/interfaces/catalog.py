"""The interface of the catalog: the names of files and collections."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.branch import NO_PROPERTIES
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest
from splitd.model.tree import Collection, Member

Prove = Callable[[], Deferred[bool]]
"""Proves that a file which was looked up before is still there.

It returns a Deferred that fires with True if the file was at its path at an instant after the call, and with False if
only a new look-up can tell, also if the catalog does not answer.  It does not fail.
"""


@attrs.frozen
class Admitted:
    """The permission to put a file at a path, which a front needs before it takes the file's bytes.

    :param present: the version that the file would replace; None if it would be a new file.
    :param condition: the condition for the commit: the given one, which now also names the locks whose tokens it
        submits.  These locks count as not expired until the commit, unless another lock is taken in the meantime.
    :param layout: the layout that the nearest collection asks for, as "6+2"; empty if none does.
    :param is_assumed: whether all this is what the catalog knew before, and nothing but the commit can tell whether it
        is so still; see `Commit.asked`.
    """

    present: Manifest | None
    condition: Condition
    layout: str = ""
    is_assumed: bool = False


class ICatalog(Interface):
    """The names of files and collections.

    Paths are text: "/" is the root, "/a/b" a name in collection "/a".  With a slash at the end, a path is that of the
    collection; without one, that of the file, or of the collection if there is no such file.  `splitd.model.paths` has
    the rules: `check_catalog_path` for everything that there can be, and `check_path` for what is made, moved or copied
    to a path.  Only keys (see `IKeys`) are made by fewer rules.

    The following holds for every change, here and in the catalog's other interfaces.  Changes that touch each other
    take turns, in the order of the calls.  A change is judged when its turn has come, against all changes before it.
    It fails with `CatalogReadOnly` once the catalog cannot be written, with `PreconditionFailed` if its condition does
    not hold, and with `Locked` if a lock forbids it and the condition does not submit the lock's token.  Its Deferred
    fires once the change is durable, and only then do other calls show the change.

    Cancelling takes no change back.  A change that waits for its turn, and was not judged yet, is not made.  Any other
    change may take effect or not; a later change of the same name is judged against the outcome.
    """

    def lookup(path: str) -> Deferred[Manifest | Collection | None]:
        """Look up a path.

        :return: a Deferred that fires with the file or collection, or with None if nothing has this path.
        """

    def admit_at_once(path: str, condition: Condition) -> Admitted | None:
        """Ask whether a file may be put at a path now, if that needs no waiting.

        :return: as the Deferred of `admit` fires with, or what is assumed; None if only `admit` can tell.
        :raise SplitdError: as `admit` raises.
        """

    def known_file(path: str) -> tuple[Manifest, Prove | None] | None:
        """Look up a file, if that needs no waiting, or no more than a proof.

        :return: the file that is there, and None; or the file that was there before, and what proves that it still is.
            None in place of both if nothing has this path, if it is a collection, or if only `lookup` can tell.
        """

    def list_members(path: str, after: str, limit: int) -> Deferred[list[Member]]:
        """List a page of a collection's members, in ascending order of their names (by code point).

        A collection beside a file of the same name comes after it, and has a slash at the end of its name.

        :param after: list only what comes after the member of this name; empty for the first page.
        :param limit: how many members at most.
        :return: a Deferred that fires with the members.
        :raise NotFound: nothing has this path.
        :raise NotACollection: a file has this path.
        """

    def admit(path: str, condition: Condition) -> Deferred[Admitted]:
        """Ask whether a file may be put at a path now, before its bytes are taken.

        This fails if a commit would fail at this instant.  If there are several reasons, conditions and locks come
        first.  The commit is judged again.  This changes nothing and waits for no change: changes that are not durable
        yet do not count.

        :return: a Deferred that fires with the admission.
        :raise PreconditionFailed: `condition` does not hold.
        :raise NotACollection: a path in `condition.collections` is a file's.
        :raise Locked: a lock forbids it.
        :raise ParentMissing: the collection that the path lies in does not exist, or is a file.
        :raise NotAFile: a collection has this path.
        :raise BadName: `path` is not a path.
        :raise CatalogReadOnly: nothing can be changed any more.
        """

    def make_collection(
        path: str, condition: Condition = ALWAYS, properties: Mapping[str, str] = NO_PROPERTIES
    ) -> Deferred[Collection]:
        """Make an empty collection.

        :param properties: its properties; see `splitd.model.properties`.
        :return: a Deferred that fires with the collection.
        :raise NameTaken: a file or collection has this path already.
        :raise ParentMissing: the collection that the path lies in does not exist, or is a file.
        """

    def delete(path: str, condition: Condition) -> Deferred[None]:
        """Delete a file, or a collection with all that is in it, in one step.

        The parts of versions that have no other name are doomed.

        :raise NotFound: nothing has this path.
        :raise BadName: the path is the root's.
        """
