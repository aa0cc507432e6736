"""The seam of the catalog: the names of files and collections."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.branch import NO_PROPERTIES
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest
from splitd.model.tree import Collection, Member


@attrs.frozen
class Admitted:
    """What a front needs to know of a name before it takes the bytes of a file.

    :param present: the version that the file would replace; None where it would be a new file.
    :param condition: what the commit is to be judged by.  It is the condition that was given, and says which locks the
        upload begins under: those whose tokens it submits count as not expired until the commit, unless another lock is
        taken in the meantime.
    """

    present: Manifest | None
    condition: Condition


class ICatalog(Interface):
    """Names and what they mean.

    Paths are text: "/" is the root, "/a/b" a name in collection "/a"; never a slash at the end
    (`splitd.model.tree.check_path` says what is a path).

    The following holds for every change, here and in the catalog's other interfaces.  Changes that touch each other
    take turns, in the order of the calls.  A change is judged when its turn has come, against all that was changed
    before.  It fails with `CatalogReadOnly` once the catalog cannot be written, with `PreconditionFailed` where its
    condition does not hold, and with `Locked` where a lock forbids it whose token is not in the condition.  Its
    Deferred fires once the change is durable, and only then do the other calls show it.

    Cancelling a change takes nothing back.  A change that waits for its turn, and was not judged yet, is not made.  Any
    other may take effect or not; a change of the same name that is asked for afterwards is judged against the outcome.
    """

    def lookup(path: str) -> Deferred[Manifest | Collection | None]:
        """What there is of this name; None where there is nothing."""

    def list_members(path: str, after: str, limit: int) -> Deferred[list[Member]]:
        """A page of a collection, in ascending order of the members' names (by code point).

        :param after: list only names greater than this; empty for the first page.
        :param limit: how many at most.
        :raise NotFound: there is nothing of this name.
        :raise NotACollection: it is a file.
        """

    def admit(path: str, condition: Condition) -> Deferred[Admitted]:
        """Ask whether a file may be put there now, before its bytes are taken.

        It fails if a commit would fail at this instant; where several things forbid it, conditions and locks are named
        first.  The commit is judged again.  Nothing is changed, and nothing is waited for: changes that are not durable
        yet do not count.

        :raise PreconditionFailed: `condition` does not hold.
        :raise NotACollection: a file is where `condition` asks for collections only.
        :raise Locked: a lock forbids it.
        :raise ParentMissing: the collection that the file should lie in is not there.
        :raise NotAFile: there is a collection of this name.
        :raise BadName: the path is none.
        :raise CatalogReadOnly: nothing can be changed any more.
        """

    def make_collection(
        path: str, condition: Condition = ALWAYS, properties: Mapping[str, str] = NO_PROPERTIES
    ) -> Deferred[Collection]:
        """Make an empty collection.

        :param properties: what to note of it; see `splitd.model.properties`.
        :raise NameTaken: something of this name is there.
        :raise ParentMissing: the collection it should lie in is not there.
        """

    def delete(path: str, condition: Condition) -> Deferred[None]:
        """Delete a file, or a collection with all that is in it, in one step.  The parts are doomed.

        :raise NotFound: there is nothing of this name.
        :raise BadName: it is the root.
        """
