"""Counts what is stored below the paths of quotas, change by change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from splitd.catalog.state import State
from splitd.errors import QuotaExceeded
from splitd.model.binned import BIN, metered, metered_beside, was_at
from splitd.model.branch import Branch
from splitd.model.packing import Packed, size_of
from splitd.model.path_faults import is_own
from splitd.model.paths import ancestors, place_of
from splitd.model.quotas import Quota, QuotaUse
from splitd.model.subtrees import Weight, weigh


@attrs.define(eq=False)
class Meter:
    """What is stored at a path and below it."""

    path: str
    bytes: int = 0
    files: int = 0


class Claim:
    """What a change adds to meters, and takes away; it may be negative."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self._of: dict[Meter, tuple[int, int]] = {}

    def add(self, meter: Meter, more_bytes: int, more_files: int) -> None:
        """Add to one meter."""
        before = self._of.get(meter, (0, 0))
        self._of[meter] = before[0] + more_bytes, before[1] + more_files

    def take(self) -> Callable[[], object]:
        """Count it; see `changes.Claim`.

        :return: counts it back.
        :raise QuotaExceeded: a quota would be exceeded; nothing is counted.
        """
        self.check()
        self._count(1)
        return lambda: self._count(-1)

    def check(self) -> None:
        """Refuse what would exceed a quota now.

        :raise QuotaExceeded: a quota would be exceeded.
        """
        for quota in self._meters.quotas:
            meters = [meter for path in metered_paths([quota]) if (meter := self._meters.at(path)) in self._of]
            if meters:
                more_bytes = sum(self._of[meter][0] for meter in meters)
                more_files = sum(self._of[meter][1] for meter in meters)
                why = self._meters.use(quota).why_exceeded(more_bytes, more_files)
                if why:
                    raise QuotaExceeded(why)

    def _count(self, times: int) -> None:
        for meter, (more_bytes, more_files) in self._of.items():
            meter.bytes += times * more_bytes
            meter.files += times * more_files


def _nothing() -> None:
    """Count nothing back."""


class Meters:
    """The meters at all paths of the quotas.

    What is in the bin counts for the quotas of the paths where it was.  So each of these paths has a second meter,
    of what was there and below (see `metered_beside`); only that of the root counts all anyway.

    A meter counts a change from the instant at which its record is about to be written.  A change of a tree needs the
    bytes in it only where a meter counts one end of it and not the other; then the tree is weighed once, before the
    record, while no other change can touch it.  A tree with a meter of its own is never weighed.

    The segments of an upload count at the path that its file should get, from their commits until the upload ends.
    They count in bytes only, and stay where they are when trees move: no meter has them (`ContinuedUploads.below`).

    :param state: the state that the journal's records result in.
    :ivar quotas: the quotas in force.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._at: dict[str, Meter] = {}
        self.quotas: tuple[Quota, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._at)

    def at(self, path: str) -> Meter | None:
        """Return the meter at exactly this path."""
        return self._at.get(path)

    def begin(self, path: str) -> Iterator[None]:
        """Count all that is at a path and below it, step by step, and have a meter there at the end."""
        weight = Weight()
        yield from self._weigh_all(path, weight)
        self._at[path] = Meter(path, weight.bytes, weight.files)

    def _weigh_all(self, path: str, weight: Weight) -> Iterator[None]:
        """Add all that a meter at a path counts to a weight."""
        if not is_own(path):
            yield from self._weigh_place(path, weight)
            return
        found = self._state.tree.find(BIN + "/")
        for name in list(found.members) if isinstance(found, Branch) else ():
            yield from self._weigh_place(f"{BIN}/{name[:-1]}{path.removeprefix(BIN)}", weight)

    def keep_only(self, paths: set[str]) -> None:
        """Have no other meters than those at these paths."""
        self._at = {path: meter for path, meter in self._at.items() if path in paths}

    def use(self, quota: Quota) -> QuotaUse:
        """Tell how much of a quota is used."""
        meters = [self._at[path] for path in metered_paths([quota]) if path in self._at]
        of_segments = sum(self._state.continued.below(each.path) for each in meters)
        return QuotaUse(quota, sum(each.bytes for each in meters) + of_segments, sum(each.files for each in meters))

    def _above(self, path: str) -> list[Meter]:
        """Return the meters at a path and above it."""
        path = metered(path)
        return [meter for each in (*ancestors(path), _place(path)) if (meter := self._at.get(each)) is not None]

    def _below(self, entry: Packed | Branch | None, path: str) -> list[Meter]:
        """Return the meters below an entry."""
        if not isinstance(entry, Branch):
            return []
        inside = place_of(metered(path)) + "/"
        return [meter for each, meter in self._at.items() if each.startswith(inside) and each != inside]

    def claim_file(self, path: str, size: int, *, only_new: bool = False) -> Callable[[], object]:
        """Count a file that is put at a path, in place of what is there; see `Claim.take`.

        :param only_new: whether nothing is put there if there is something.
        """
        above = self._above(path) if self._at else ()
        if not above or (only_new and self._state.tree.find(path) is not None):
            return _nothing
        replaced = self.replaced(path)
        return self._take(above, size - (0 if replaced is None else size_of(replaced)), int(replaced is None))

    def refuse_upload(self, path: str) -> None:
        """Refuse one more unfinished upload for a path: a quota of files allows as many of them as files.

        :raise QuotaExceeded: there are as many.
        """
        for quota in self.quotas:
            if quota.files is not None and quota.covers(path):
                count = sum(self._state.continued.count_below(each) for each in quota.paths)
                if count >= max(quota.files, 1):
                    raise QuotaExceeded(
                        f"the quota of {quota.name} is {quota.files} files, {count} uploads are unfinished"
                    )

    def claim_segment(self, upload: str, number: int, size: int) -> Callable[[], object]:
        """Count a segment that is put, in place of the one of its number; see `Claim.take`."""
        continued = self._state.continued.find(upload)
        if continued is None:
            return _nothing
        replaced = continued.segments.get(number)
        growth = size - (0 if replaced is None else size_of(replaced))
        self.refuse_segment(continued.path, growth)
        return self._state.continued.expect(upload, number, growth)

    def refuse_segment(self, path: str, growth: int) -> None:
        """Refuse more bytes of segments of an upload for a path.

        :raise QuotaExceeded: a quota would be exceeded.
        """
        for quota in self.quotas:
            if quota.covers(path):
                why = self.use(quota).why_exceeded(growth, 0)
                if why:
                    raise QuotaExceeded(why)

    def claim_completion(self, path: str, upload: str, size: int) -> Callable[[], object]:
        """Count a file that is made of segments in place of all segments of its upload; see `Claim.take`."""
        continued = self._state.continued.find(upload)
        give_back = _nothing if continued is None else self._state.continued.expect(upload, 0, -continued.size)
        try:
            undo = self.claim_file(path, size)
        except QuotaExceeded:
            give_back()
            raise

        def count_back() -> None:
            undo()
            give_back()

        return count_back

    def claim_removal(self, path: str) -> Callable[[], object]:
        """Count a key that is removed, and nothing below it; see `Claim.take`."""
        above = self._above(path) if self._at else ()
        entry = self._state.tree.find(path)
        removed = entry.own if isinstance(entry, Branch) else entry
        return self._take(above, -size_of(removed), -1) if above and removed is not None else _nothing

    def replaced(self, path: str) -> Packed | None:
        """Return the file that one that is put at a path replaces."""
        entry = self._state.tree.find(path)
        if not isinstance(entry, Branch):
            return entry
        return entry.own if path.endswith("/") else None

    def _take(self, meters: Sequence[Meter], more_bytes: int, more_files: int) -> Callable[[], object]:
        claim = Claim(self)
        for meter in meters:
            claim.add(meter, more_bytes, more_files)
        return claim.take()

    def deletion(self, path: str, claim: Claim) -> Iterator[None]:
        """Find out, step by step, what deleting a path takes away."""
        yield from self._take_away(path, claim, self._above(path))

    def _take_away(self, path: str, claim: Claim, above: Sequence[Meter]) -> Iterator[None]:
        entry = self._state.tree.find(path)
        if above:
            weight = Weight()
            yield from self._weigh(entry, path, weight)
            for meter in above:
                claim.add(meter, -weight.bytes, -weight.files)
        yield from self._take_below(entry, path, claim)

    def _take_below(self, entry: Packed | Branch | None, path: str, claim: Claim) -> Iterator[None]:
        """Find out what the meters below an entry lose with it."""
        for meter in self._below(entry, path):
            weight = Weight(meter.bytes, meter.files)
            if was_at(path) is not None:  # the meter counts other things in the bin, too
                weight = Weight()
                yield from self._weigh_place(_moved(meter.path, path, path), weight)
            claim.add(meter, -weight.bytes, -weight.files)

    def transfer(self, source: str, target: str, claim: Claim, *, moves: bool, deep: bool) -> Iterator[None]:
        """Find out, step by step, what a move or copy adds and takes away.

        :param moves: whether nothing is left at the source.
        :param deep: whether what is in a collection goes along.
        """
        entry = self._state.tree.find(source)
        left, reached = (self._above(source) if moves else []), self._above(target)
        is_whole = deep or not isinstance(entry, Branch)
        if left != reached and is_whole:
            weight = Weight()
            yield from self._weigh(entry, source, weight)
            for meter in left:
                claim.add(meter, -weight.bytes, -weight.files)
            for meter in reached:
                claim.add(meter, weight.bytes, weight.files)
        yield from self._take_away(target, claim, reached)
        for meter in self._below(entry, target) if is_whole else ():
            weight = Weight()
            yield from self._weigh_place(_moved(meter.path, target, source), weight)
            claim.add(meter, weight.bytes, weight.files)
        if moves:
            yield from self._take_below(entry, source, claim)

    def weigh_entry(self, path: str, weight: Weight) -> Iterator[None]:
        """Add the files of what has a path to a weight, step by step."""
        entry = self._state.tree.find(path)
        if entry is not None:
            yield from self._weigh_entry(entry, weight)

    def _weigh(self, entry: Packed | Branch | None, path: str, weight: Weight) -> Iterator[None]:
        """Add the files of what has a path to a weight."""
        meter = self._at.get(_place(path))
        if meter is not None and isinstance(entry, Branch) and not self._state.tree.has_file(place_of(path)):
            weight.bytes += meter.bytes
            weight.files += meter.files
        elif entry is not None:
            yield from self._weigh_entry(entry, weight)

    def _weigh_entry(self, entry: Packed | Branch, weight: Weight) -> Iterator[None]:
        yield from weigh(entry, weight)

    def _weigh_place(self, place: str, weight: Weight) -> Iterator[None]:
        """Add the files of a place to a weight: of the collection there, and the file beside it."""
        tree, collection = self._state.tree, place_of(place) + "/"
        found = {id(entry): entry for path in (place, collection) if (entry := tree.find(path)) is not None}
        for entry in found.values():
            yield from self._weigh_entry(entry, weight)


def _place(path: str) -> str:
    """Return the path under which a meter counts something."""
    return place_of(path) or "/"


def _moved(path: str, above: str, to: str) -> str:
    """Return the path that leads below `to` as the path of a meter leads below `above`."""
    return place_of(to) + path.removeprefix(place_of(metered(above)))


def metered_paths(quotas: Iterable[Quota]) -> list[str]:
    """Return the paths of all meters of some quotas."""
    paths = [path for quota in quotas for path in quota.paths]
    return [*paths, *(metered_beside(path) for path in paths if path != "/")]
