"""The interface for keys: the names of an object store like S3, over the same files and collections."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as SetOf

import attrs
import msgspec
from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.conditions import ALWAYS, Condition
from splitd.model.keys import Key
from splitd.model.manifest import Manifest
from splitd.model.media import SAME, Labels
from splitd.model.tree import Collection

MOST_LISTED = 10_000
"""The most keys and common prefixes that one page may have."""


class KeyCopy(msgspec.Struct, frozen=True, gc=False):
    """A copy of one key to another one, or onto itself.

    :param source: the path of the key.
    :param target: the path of the copy's key.
    :param labels: what the copy does not take from the source as it is when the copy is made.
    :param source_condition: the condition for `source`.
    :param condition: the condition for `target`.
    :param relabels: whether a key is copied onto itself to give it other tags, or another ACL: then it keeps its time.
        Else the time of the copy is that of its making.
    """

    source: str
    target: str
    labels: Labels = SAME
    source_condition: Condition = ALWAYS
    condition: Condition = ALWAYS
    relabels: bool = False


@attrs.frozen
class Listing:
    """A page of keys.

    :param keys: keys, in the order of their bytes in UTF-8.
    :param prefixes: common prefixes, in the same order: each stands for all keys that begin with it.
    :param next: the last of both if there are more behind it, for `after` of the next page; None at the end.
    """

    keys: Sequence[Key]
    prefixes: Sequence[str]
    next: str | None


class IKeys(Interface):
    """Files and collections as an object store names them.  The catalog provides it, and so does the store.

    A bucket is a collection right below the root.  The key `a/b` of bucket `x` is the file at the path `/x/a/b`; the
    key `a/` is the collection `/x/a/`, with the bytes of a file where it was given some.  So the path of a key is that
    of the bucket, a slash, and the key: any text of at most `splitd.model.path_faults.MAX_NAME` bytes in UTF-8, empty
    segments, "." and ".." included (`splitd.model.paths` says how paths are made up).  `a` may be beside `a/` and
    `a/b`.

    A file is put at a key with `IObjectStore.create`, and read with `IObjectStore.open`, by its path: with the
    condition's `is_key`, and with a slash at the end of the path for the file that a collection itself is.  Missing
    collections on the way are made, but not the bucket.  They are *implied*: no keys, and gone with the last key in
    them.  A collection that `ICatalog.make_collection` made is a key of 0 bytes.

    The rules of `ICatalog` for changes hold here, too.
    """

    def list_keys(
        collection: str, prefix: str, after: str, delimiter: str, limit: int, hidden: SetOf[str] = frozenset()
    ) -> Deferred[Listing]:
        """List a page of the keys of a collection, with those of all collections in it, in the order of their bytes in
        UTF-8.

        A key that has the delimiter behind the prefix is not listed, but its common prefix is, once: the key up to the
        end of the first delimiter.  The page is made in short steps; changes that are made meanwhile are seen or not.
        Its cost follows from what it lists, not from what lies beside that.

        :param prefix: list only keys that begin with this.
        :param after: list only keys, and common prefixes, that come after this; empty for the first page.
        :param delimiter: any text; empty for no common prefixes.
        :param limit: how many keys and common prefixes together at most, up to `MOST_LISTED`; with 0 the page is empty,
            and has no next.
        :param hidden: places (see `splitd.model.paths`): nothing at them or below them is listed.
        :return: a Deferred that fires with the page.  Cancelling it ends the work.
        :raise NotFound: nothing has the path `collection`.
        :raise NotACollection: a file has it.
        """

    def find_key(path: str) -> Deferred[Manifest | Collection | None]:
        """Look up a key.

        :param path: of the key.
        :return: a Deferred that fires with the file; with the collection, if the key is one of 0 bytes that has no
            manifest; or with None if there is no such key, although there may be others below it.
        """

    def delete_key(path: str, condition: Condition) -> Deferred[bool]:
        """Delete one key, and never another one.  A collection that has members stays, and is implied from then on.

        :param path: of the key.
        :return: a Deferred that fires with whether there was such a key.
        :raise PreconditionFailed: the condition does not hold, be there such a key or not.
        """

    def copy_key(copy: KeyCopy) -> Deferred[tuple[Manifest, bool]]:
        """Copy one key to another one, which shares its parts.  Missing collections are made as for a new file.

        A copy of a key onto itself gives it other labels.

        :return: a Deferred that fires with the copy's manifest, and whether there was no key `copy.target` before.
        :raise NotFound: there is no key `copy.source`.
        :raise ParentMissing: the bucket of `copy.target` does not exist.
        :raise PreconditionFailed: a condition does not hold.
        """

    def delete_empty(path: str, condition: Condition) -> Deferred[None]:
        """Delete a collection that has nothing in it.

        :raise NotFound: nothing has this path.
        :raise NotACollection: a file has this path.
        :raise NotEmpty: something is in it.
        :raise BadName: the path is the root's.
        """
