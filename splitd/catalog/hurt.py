"""The versions of which parts are missing, those with the fewest spare parts first.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sortedcontainers import SortedSet

from splitd.model.manifest import Manifest
from storaged.parts.format import stored_size


class _Want(NamedTuple):
    spare: int
    parts: int
    size: int


class HurtVersions:
    """The versions of which at least one part is stored nowhere.

    :ivar parts: how many parts of them are missing.
    :ivar size: the stored bytes of the missing parts.
    """

    def __init__(self) -> None:
        self._wants: dict[str, _Want] = {}
        self._by_spare: dict[int, SortedSet] = {}
        self.parts = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self._wants)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the uploads of these versions, in no order."""
        return iter(self._wants)

    def weigh(self, manifest: Manifest) -> None:
        """Take note of the present nodes of a version, which may be whole.

        :param manifest: names the nodes where the parts lie now.
        """
        self.forget(manifest.upload)
        missing = manifest.missing
        if not missing:
            return
        size = sum(stored_size(manifest.part_size(index), manifest.unit) for index in missing)
        want = self._wants[manifest.upload] = _Want(manifest.spare, len(missing), size)
        uploads = self._by_spare.get(want.spare)
        if uploads is None:
            uploads = self._by_spare[want.spare] = SortedSet()
        uploads.add(manifest.upload)
        self.parts += want.parts
        self.size += want.size

    def want(self, upload: str) -> tuple[int, int, int] | None:
        """Return the spare parts of a version, how many are missing, and their stored bytes; None if it is whole."""
        return self._wants.get(upload)

    def forget(self, upload: str) -> None:
        """Forget a version; do nothing if it is whole or unknown."""
        want = self._wants.pop(upload, None)
        if want is None:
            return
        uploads = self._by_spare[want.spare]
        uploads.discard(upload)
        if not uploads:
            del self._by_spare[want.spare]
        self.parts -= want.parts
        self.size -= want.size

    def counts(self) -> dict[int, int]:
        """Count the versions by their spare parts; a version with less than none cannot be read."""
        return {spare: len(self._by_spare[spare]) for spare in sorted(self._by_spare)}

    def page(self, after: str, limit: int) -> tuple[list[str], str]:
        """List a page of the uploads of these versions.

        Those with the fewest spare parts come first, and at last those that cannot be read, because they cannot be
        rebuilt either.

        :param after: the cursor that the page before returned; "" for the first page.
        :param limit: how many versions at most.
        :return: the uploads, and the cursor for the next page; "" if this is the last one.
        """
        uploads: list[str] = []
        last = ""
        for spare, upload in self._from(after):
            if len(uploads) == limit:
                return uploads, last
            uploads.append(upload)
            last = f"{spare}.{upload}"
        return uploads, ""

    def _from(self, after: str) -> Iterator[tuple[int, str]]:
        spare, _, seen = after.partition(".")
        for each in sorted(self._by_spare, key=_rank):
            if not after or _rank(each) > _rank(int(spare)):
                yield from ((each, upload) for upload in self._by_spare[each])
            elif each == int(spare):
                yield from ((each, upload) for upload in self._by_spare[each].irange(seen, inclusive=(False, True)))


def _rank(spare: int) -> tuple[bool, int]:
    return spare < 0, abs(spare)
