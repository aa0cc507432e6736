"""Stripes of a version, from whichever parts can be read: columns that are lost or late are rebuilt from the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from twisted.internet.defer import Deferred

from splitd.downloads.race import Race
from splitd.downloads.sources import PartStreams, Sources
from splitd.downloads.survivors import Survivors
from splitd.model.erasure import AT_ONCE, Pieces, code_of
from splitd.model.manifest import Manifest
from splitd.model.striping import column_size
from storaged.system.parallel import InThread, compute_at_once
from storaged.system.ranges import Span

_REVIEW_EVERY = 16
"""After so many stripes, data parts that were late are read again in place of parity parts."""

_UNITS_OF_A_REQUEST = 16
"""So many units of a stream count as one more request: each could have been a request of its own."""

Columns = dict[int, Pieces]


def rebuild_columns(
    manifest: Manifest, stripe: int, columns: Mapping[int, Pieces], wanted: Iterable[int], run: InThread
) -> Deferred[Columns]:
    """Rebuild columns of a stripe.

    :param columns: `data` columns of the stripe, by their indexes, each as pieces.
    :param wanted: the indexes of the columns to rebuild, of parity columns too; none of them is in `columns`.
    :param run: runs the computation in a thread, if the stripe is large.
    :return: a Deferred that fires with the wanted columns by their indexes.
    """
    layout = manifest.layout
    size = min(layout.stripe, manifest.size - stripe * layout.stripe)
    length = column_size(layout.data, size, 0)
    lengths = {index: column_size(layout.data, size, index) if index < layout.data else length for index in wanted}
    code = code_of(layout.data, layout.parity)

    def work() -> Columns:
        rebuilt = code.rebuild(columns, length, lengths)
        return {index: [rebuilt[index][:each]] for index, each in lengths.items()}

    return run(work) if layout.stripe > AT_ONCE else compute_at_once(work)


class StripeReader:
    """Columns of some stripes of a version, in the order of the file's bytes.

    Only the wanted columns are read, as long as all is well.  If one fails or is late, the stripe is rebuilt from as
    many others as are needed, and so are those after it, without that part.

    :param wanted: the stripes of which each column is wanted, by its index; the span is of the numbers of the stripes,
        and not empty.
    :param survivors: the parts that can be read.
    :param whole: whether to ask for all columns of a stripe at once.  That is quicker, but keeps them in memory.
    :ivar rebuilt: whether columns of the last stripe that was read had to be rebuilt.
    """

    def __init__(
        self, manifest: Manifest, wanted: Mapping[int, Span], survivors: Survivors, sources: Sources, *, whole: bool
    ) -> None:
        self._manifest = manifest
        self._layout = manifest.layout
        self._wanted = {index: range(span.start, span.stop) for index, span in wanted.items()}
        self._survivors = survivors
        self._sources = sources
        self._whole = whole
        self._first = min(span.start for span in wanted.values())
        self._stop = max(span.stop for span in wanted.values())
        self._streams = PartStreams(manifest, self._wanted, self._stop, sources)
        self._members: list[int] = []  # the parts that stripes are rebuilt from
        self._empty: set[int] = set()  # the columns without a byte in the present stripe
        self._got: dict[int, Columns] = {}  # columns that are not returned yet, by the stripes' numbers
        self.rebuilt = False

    async def open(self) -> None:
        """Read the first columns, which shows whether enough parts can be read.

        :raise FileUnavailable: too many nodes cannot be read.
        :raise FileDamaged: too many parts are lost or damaged.
        """
        self._survivors.check()
        self._members = self._survivors.choose(self._layout.data, set())
        later = [index for index, stripes in self._wanted.items() if self._first not in stripes]
        for index in set(self._members).intersection(later):
            self._streams.at(index, self._wanted[index].start).begin()
        await self._read(self._first, self._wanted_of(self._first))
        if later and self._first + 1 < self._stop:
            await self._read(self._first + 1, self._wanted_of(self._first + 1))

    async def read(self, stripe: int, index: int) -> Pieces:
        """Read the next wanted column, as pieces; of a stripe in ascending order of the indexes.

        :raise FileUnavailable, FileDamaged: too few parts can be read.
        """
        if index not in self._got.get(stripe, ()):
            every = [other for other in self._wanted_of(stripe) if other >= index]
            direct = set(self._members).issuperset(every)
            await self._read(stripe, [index] if direct and not self._whole else every)
        return self._got[stripe].pop(index)

    async def _read(self, stripe: int, indexes: Sequence[int]) -> None:
        """Read columns of a stripe; if one must be rebuilt, all wanted ones after it as well."""
        if stripe not in self._got:
            self._got = {number: columns for number, columns in self._got.items() if columns}
            self._got[stripe] = {}
            if stripe % _REVIEW_EVERY == 0:
                self._return_to_data()
        data = self._layout.data
        self._empty = {index for index in range(data) if not self._unit_size(stripe, index)}
        answers = await self._ask(stripe, indexes)
        every = [index for index in self._wanted_of(stripe) if index >= indexes[0]]
        self._got[stripe].update((index, answers[index]) for index in every if index in answers)
        self.rebuilt = not set(indexes).issubset(answers)
        if self.rebuilt:
            given = {index: answers[index] for index in sorted(answers)[: data - len(self._empty)]}
            given.update(dict.fromkeys(self._empty, ()))
            missing = [index for index in every if index not in answers]
            self._got[stripe].update(await rebuild_columns(self._manifest, stripe, given, missing, self._sources.run))

    def _wanted_of(self, stripe: int) -> list[int]:
        """The indexes of the wanted columns of a stripe that have a byte."""
        return [
            index for index, stripes in self._wanted.items() if stripe in stripes and self._unit_size(stripe, index)
        ]

    async def _ask(self, stripe: int, wanted: Collection[int]) -> Columns:
        """Ask for the wanted columns of a stripe; return them, or enough others."""
        need = self._layout.data - len(self._empty)
        race: Race[Pieces] = Race(
            self._manifest,
            self._survivors,
            lambda index: Deferred.fromCoroutine(self._streams.at(index, stripe).next_unit()),
            lambda index: self._streams.at(index, stripe).wait,
            self._sources.policy,
            self._sources.clock,
        )
        direct = set(self._members).issuperset(wanted)
        try:
            await race.run(wanted if direct else self._choose(need, set()), wanted, need, self._choose)
        finally:
            self._streams.drop(race.abandoned | self._survivors.lost.keys())
        away = self._survivors.lost.keys() | (race.late & race.abandoned)
        if away.intersection(self._members) or len(self._members) < self._layout.data:
            members = [index for index in self._members if index not in away]
            members += [index for index in race.answers if index not in members]
            self._members = sorted(members)[: self._layout.data]
            self._streams.keep(self._members)
        self._sources.policy.asked(len(race.answers) / _UNITS_OF_A_REQUEST)
        return race.answers

    def _unit_size(self, stripe: int, index: int) -> int:
        return min(self._layout.unit, max(0, self._manifest.part_size(index) - stripe * self._layout.unit))

    def _choose(self, count: int, given: set[int]) -> list[int]:
        """Choose parts to read; those whose streams are open come first."""
        given = given | self._empty
        chosen = [index for index in self._members if index not in given and index not in self._survivors.lost][:count]
        return chosen + self._survivors.choose(count - len(chosen), given.union(chosen))

    def _return_to_data(self) -> None:
        """Read data parts in place of parity parts, if they can be read again: this saves the rebuilding."""
        best = self._survivors.choose(self._layout.data, set())
        if sum(map(self._is_data, best)) > sum(map(self._is_data, self._members)):
            self._members = best
            self._streams.keep(best)

    def _is_data(self, index: int) -> bool:
        return index < self._layout.data

    def close(self) -> None:
        """Read no more."""
        self._streams.close()
