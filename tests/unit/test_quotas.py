"""Quotas in the journalled catalog: exact for every change, and compared with a count of all names."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from splitd.errors import CatalogReadOnly, QuotaExceeded, SplitdError
from splitd.interfaces.keys import KeyCopy
from splitd.model.binned import Binned, was_at
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.locks import Lock
from splitd.model.manifest import Manifest
from splitd.model.quotas import Quota, topmost
from splitd.model.tree import Collection
from tests.catalogs import NODES, manifest, walk
from tests.ledger import begin, commit
from tests.segments import complete, put_segment
from tests.unit.catalogs import Front

PATHS = ["/a", "/b", "/a/x", "/a/y", "/b/x", "/a/x/1", "/a/x/2", "/b/x/1", "/c"]
KEYS = ["/a/x", "/a/x/", "/a/x/1", "/a/x//1", "/b/x", "/b/x/", "/b/x/1/"]
QUOTAS = [
    Quota("/", ("/",), 120, None),
    Quota("/a", ("/a",), 60, 3),
    Quota("/b/x", ("/b/x",), 30, None),
    Quota("user anna", ("/a/x", "/b"), 50, 2),
]

step = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(PATHS), st.integers(0, 40)),
    st.tuples(st.just("mkcol"), st.sampled_from(PATHS)),
    st.tuples(st.just("delete"), st.sampled_from(PATHS)),
    st.tuples(st.sampled_from(["bin", "bin", "restore", "purge"]), st.sampled_from(PATHS)),
    st.tuples(st.just("lock"), st.sampled_from(PATHS)),
    st.tuples(st.just("key"), st.sampled_from(KEYS), st.integers(0, 40)),
    st.tuples(st.just("delete key"), st.sampled_from(KEYS)),
    st.tuples(st.just("copy key"), st.sampled_from(KEYS), st.sampled_from(KEYS)),
    st.tuples(st.just("begin"), st.sampled_from(PATHS + KEYS)),
    st.tuples(st.just("segment"), st.integers(0, 2), st.integers(0, 30)),
    st.tuples(st.sampled_from(["complete", "abort"]), st.integers(0, 2)),
    st.tuples(st.sampled_from(["move", "copy", "shallow"]), st.sampled_from(PATHS), st.sampled_from(PATHS)),
)


AS_KEY = Condition(is_key=True)


class Tried:
    """A catalog with quotas, whose changes a test makes one after the other."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.catalog = front.catalog
        self.uploads = 0
        self.continued: list[str] = []  # the last ones that were begun
        self.binned: list[Binned] = []

    async def make(self, kind: str, path: str | int, more: object = None) -> None:
        if isinstance(path, int):
            await self.go_on(kind, path, more)
        elif kind in {"bin", "restore", "purge"}:
            await self.use_bin(kind, path)
        else:
            await self.change(kind, path, more)

    async def go_on(self, kind: str, number: int, size: object) -> None:
        """Do something with one of the uploads that can be continued; it may have ended."""
        if not self.continued:
            return
        upload = self.continued[number % len(self.continued)]
        continued, ledger = self.catalog.continued, self.catalog.ledger
        found = await continued.find(upload)
        if kind == "segment":
            assert isinstance(size, int)
            self.uploads += 1
            await put_segment(ledger, upload, 1 + number % 2, f"{self.uploads:032x}", size=size)
        elif kind == "abort":
            await continued.abort(upload, "a test")
        elif found is not None:
            segments = await continued.list_segments(upload, 0, 9)
            chosen = [(each.number, each.upload) for each in segments][: 1 + number % 2]
            condition = AS_KEY if found.path in KEYS else ALWAYS
            await complete(continued, upload, found.path, chosen, condition=condition)

    async def change(self, kind: str, path: str, more: object) -> None:
        catalog, namespace = self.catalog, self.catalog.namespace
        if kind == "begin":
            self.uploads += 1
            await catalog.continued.begin(f"{self.uploads:032x}", path, "")
            self.continued = [*self.continued[-2:], f"{self.uploads:032x}"]
        elif kind == "put":
            assert isinstance(more, int)
            await self.put(path, more)
        elif kind == "key":
            assert isinstance(more, int)
            await self.commit(path, self.begin(path), more, AS_KEY)
        elif kind == "delete key":
            await catalog.keys.delete_key(path, ALWAYS)
        elif kind == "copy key":
            await catalog.keys.copy_key(KeyCopy(path, str(more)))
        elif kind == "mkcol":
            await catalog.make_collection(path)
        elif kind == "delete":
            await catalog.delete(path, ALWAYS)
        elif kind == "lock":
            await catalog.locks.lock(Lock(path, f"urn:{self.uploads}", "shared", False, "", 0, 1), ALWAYS, self.empty())
        else:
            change = namespace.move if kind == "move" else namespace.copy
            options = {} if kind == "move" else {"deep": kind == "copy"}
            await change(path, str(more), ALWAYS, overwrite=True, **options)  # type: ignore[operator]

    async def use_bin(self, kind: str, path: str) -> None:
        """Put something in the bin, or restore or purge what was put there last."""
        if kind == "bin":
            self.binned.append(await self.catalog.bin.put(path, ALWAYS, ""))
            return
        if self.binned and kind == "restore":
            await self.catalog.bin.restore(self.binned[-1], path)
        elif self.binned:
            assert await self.catalog.bin.purge(self.binned[-1])
        del self.binned[-1:]

    def begin(self, path: str) -> str:
        self.uploads += 1
        upload = f"{self.uploads:032x}"
        begin(self.catalog.ledger, upload, path, NODES)
        return upload

    def commit(self, path: str, upload: str, size: int, condition: Condition = ALWAYS) -> Deferred[bool]:
        return commit(self.catalog.ledger, path, manifest(upload, size=size), condition)

    def put(self, path: str, size: int) -> Deferred[bool]:
        return self.commit(path, self.begin(path), size)

    def empty(self) -> Manifest:
        self.uploads += 1
        return manifest(f"{self.uploads:032x}", size=0, nodes=())

    async def counted(self, quotas: Sequence[Quota]) -> list[tuple[str, int, int]]:
        """What a walk over all names finds; what is in the bin counts where it was."""
        files = list[tuple[str, Manifest]]()
        for lies_at, each in (await walk(self.catalog)).items():
            path = was_at(lies_at) or lies_at
            if isinstance(each, Manifest):
                files.append((path, each))
            elif each is not None and each.own is not None:
                files.append((path + "/", each.own))
        under_way = await self.catalog.continued.list_uploads("/", ("", ""), 1000)
        return [
            (
                quota.name,
                sum(each.size for path, each in files if quota.covers(path))
                + sum(each.size for each in under_way if quota.covers(each.path)),
                sum(quota.covers(path) for path, _ in files),
            )
            for quota in quotas
        ]

    async def has_too_many_uploads(self, quotas: Sequence[Quota]) -> bool:
        """Whether there are more unfinished uploads than a quota allows files."""
        paths = [each.path for each in await self.catalog.continued.list_uploads("/", ("", ""), 1000)]
        limits = [(quota, max(quota.files, 1)) for quota in quotas if quota.files is not None]
        return any(sum(map(quota.covers, paths)) > most for quota, most in limits)

    async def told(self) -> list[tuple[str, int, int]]:
        """What the catalog tells."""
        return [(each.quota.name, each.bytes, each.files) for each in await self.catalog.quotas.usage()]


async def tried(*quotas: Quota) -> Tried:
    front = await Front().start()
    made = Tried(front)
    await made.catalog.quotas.set_quotas(quotas)
    return made


def exceeded(before: list[tuple[str, int, int]], after: list[tuple[str, int, int]], quotas: Sequence[Quota]) -> bool:
    """Whether a change that had these effects should have been refused."""
    return any(
        (quota.bytes is not None and now_bytes > max(quota.bytes, was_bytes))
        or (quota.files is not None and now_files > max(quota.files, was_files))
        for quota, (_, was_bytes, was_files), (_, now_bytes, now_files) in zip(quotas, before, after, strict=True)
    )


@given(st.lists(step, max_size=25), st.integers(0, 25))
@pytest_twisted.ensureDeferred
async def test_the_use_of_quotas_is_what_a_count_finds(steps: list[tuple[str, str, object]], late: int) -> None:
    """`late` quotas are set when some files are there; a catalog without quotas says what each change would do."""
    limited, free = await tried(), await tried()
    for number, (kind, path, *more) in enumerate(steps):
        if number == late:
            await limited.catalog.quotas.set_quotas(QUOTAS)
        quotas = QUOTAS if number >= late else []
        before = await free.counted(quotas)
        outcomes = []
        for each in (free, limited):
            try:
                await each.make(kind, path, *more)
            except SplitdError as problem:
                outcomes.append(type(problem))
            else:
                outcomes.append(None)
        after = await free.counted(quotas)
        assert await limited.told() == await limited.counted(quotas)
        if exceeded(before, after, quotas) or (kind == "begin" and await free.has_too_many_uploads(quotas)):
            assert outcomes == [None, QuotaExceeded]
            return
        assert outcomes[0] == outcomes[1]
        assert await without_keys(limited) == await without_keys(free)


async def without_keys(tried: Tried) -> list[tuple[str, object]]:
    """All names and what has them; of things in the bin, the old ones."""
    found = (await walk(tried.catalog)).items()
    return sorted((was_at(path) or path, str(each)) for path, each in found)


@pytest_twisted.ensureDeferred
async def test_of_uploads_that_race_only_those_that_fit_are_committed() -> None:
    made = await tried(Quota("/a", ("/a",), 100))
    await made.make("mkcol", "/a")
    uploads = [made.begin(f"/a/{number}") for number in range(4)]
    made.front.journal.hold()
    racing = [made.commit(f"/a/{number}", upload, 40) for number, upload in enumerate(uploads)]
    refused = [each for each in racing if each.called]
    assert len(refused) == 2
    for each in refused:
        with pytest.raises(QuotaExceeded, match=r"the quota of /a is 100 B, 80 B are used, 40 B more are needed"):
            await each
    made.front.journal.release()
    assert [await each for each in racing if each not in refused] == [True, True]
    assert await made.told() == [("/a", 80, 2)]


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_written_is_counted_back() -> None:
    for kind in ("commit", "delete", "copy"):
        made = await tried(Quota("/", ("/",), 200))
        await made.make("put", "/a", 60)
        upload = made.begin("/b")
        made.front.journal.fail_next("the disk is gone")
        with pytest.raises(CatalogReadOnly):
            await (made.commit("/b", upload, 30) if kind == "commit" else made.make(kind, "/a", "/c"))
        assert await made.told() == [("/", 60, 1)]


@pytest_twisted.ensureDeferred
async def test_a_file_may_shrink_though_its_quota_is_exceeded_already() -> None:
    made = await tried()
    await made.make("put", "/a", 60)
    await made.catalog.quotas.set_quotas([Quota("/", ("/",), 50, 1)])
    assert await made.catalog.quotas.refuse("/a", 60) == 60
    await made.make("put", "/a", 55)
    with pytest.raises(QuotaExceeded):
        await made.make("put", "/a", 56)
    with pytest.raises(QuotaExceeded, match="is 1 files, 1 are there"):
        await made.catalog.quotas.refuse("/b", 0)
    await made.make("delete", "/a")
    assert await made.told() == [("/", 0, 0)]


@pytest_twisted.ensureDeferred
async def test_a_file_is_refused_before_its_bytes_and_told_how_long_it_may_be() -> None:
    made = await tried(Quota("/a", ("/a",), 100), Quota("user anna", ("/a/x",), 50))
    for path in ("/a", "/a/x"):
        await made.make("mkcol", path)
    await made.make("put", "/a/1", 70)
    quotas = made.catalog.quotas
    assert await quotas.refuse("/a/x/1", None) == 30
    assert await quotas.refuse("/a/1", None) == 100
    assert await quotas.refuse("/b", 10**12) is None
    with pytest.raises(QuotaExceeded, match="quota of /a is"):
        await quotas.refuse("/a/x/1", 31)
    await made.make("delete", "/a/1")
    with pytest.raises(QuotaExceeded, match="quota of user anna is"):
        await quotas.refuse("/a/x/1", 51)


@pytest_twisted.ensureDeferred
async def test_a_tree_that_stays_below_its_quota_is_moved_without_a_look_at_it() -> None:
    made = await tried(Quota("/", ("/",), 10_000))
    await made.make("mkcol", "/a")
    for number in range(600):
        await made.make("put", f"/a/{number}", 1)
    moved = made.catalog.namespace.move("/a", "/b", ALWAYS, overwrite=False)
    assert moved.called  # it took one slice
    deleted = made.catalog.delete("/b", ALWAYS)
    assert not deleted.called  # it was weighed, and that took several
    while not deleted.called:
        made.front.clock.turn()
    assert await made.told() == [("/", 0, 0)]


@pytest_twisted.ensureDeferred
async def test_a_copy_for_which_there_is_no_room_any_more_at_its_end_leaves_nothing() -> None:
    made = await tried(Quota("/", ("/",), 1250))
    await made.make("mkcol", "/a")
    for number in range(600):
        await made.make("put", f"/a/{number}", 1)
    copied = made.catalog.namespace.copy("/a", "/b", ALWAYS, deep=True, overwrite=False)
    for _ in range(6):
        made.front.clock.turn()
    assert not copied.called  # there was room when it was weighed, and the names are being made
    assert await made.put("/x", 100)
    while not copied.called:
        made.front.clock.turn()
    with pytest.raises(QuotaExceeded):
        await copied
    for _ in range(20):
        made.front.clock.turn()
    assert await made.told() == [("/", 700, 601)]
    assert len(await made.front.doomed()) == 0
    deleted = made.catalog.delete("/a", ALWAYS)
    for _ in range(20):
        made.front.clock.turn()
    assert deleted.called
    assert len((await made.front.doomed())["a"]) == 600  # no name of the copy keeps a part
    statistics = await made.catalog.statistics()
    assert (statistics.files, statistics.bytes_stored) == (1, 100)


@pytest_twisted.ensureDeferred
async def test_changes_below_a_path_wait_while_it_is_counted_for_the_first_time() -> None:
    made = await tried()
    await made.make("mkcol", "/a")
    for number in range(600):
        await made.make("put", f"/a/{number}", 1)
    counted: list[None] = []
    made.catalog.quotas.set_quotas([Quota("/a", ("/a",), 601)]).addCallback(counted.append)
    first, elsewhere = made.put("/a/x", 1), made.put("/b", 1)
    assert (counted, first.called, elsewhere.called) == ([], False, True)
    while not counted:
        made.front.clock.turn()
    assert await first
    with pytest.raises(QuotaExceeded):
        await made.put("/a/y", 1)
    assert isinstance(await made.catalog.lookup("/a"), Collection)
    assert await made.told() == [("/a", 601, 601)]


def test_of_paths_in_each_other_the_topmost_counts() -> None:
    assert topmost(["/a/b", "/a", "/ab", "/c/d/e", "/c/d/e/f"]) == ("/a", "/ab", "/c/d/e")
    assert topmost(["/", "/a"]) == ("/",)
