"""A cluster compared with a plain dict: any sequence of client requests and failures."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest_twisted
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from twisted.internet.defer import Deferred
from twisted.web.client import ResponseFailed

from splitd.catalog.compaction import fold
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.snapshot_records import records_of
from splitd.errors import MoveRefused
from splitd.model.manifest import Manifest
from splitd.upkeep.pace import Pace
from storaged.parts.errors import StoragedError
from storaged.system.filesystem import OSFilesystem
from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.multistatus import dav, lock, noted, propfind, proppatch, token_of
from tests.cluster.plain_store import PlainLock, PlainStore, is_in
from tests.cluster.test_round_trip import ChunkedBody
from tests.cluster.waiting import eventually
from tests.tally import EFFORT, TALLY

NODES = 8
NEEDED = 6
UNIT = 512

PATHS = ["/a", "/b", "/c/a", "/c/b", "/d/a"]
COLLECTIONS = ["/c", "/d", "/c/d"]
paths = st.sampled_from(PATHS)
names = st.sampled_from([*PATHS, *COLLECTIONS, "/c/d/a"])
submits = st.sampled_from([True, True, True, False])
numbers = st.integers(0, NODES - 1)
sizes = st.sampled_from([0, 1, 5, 6, 7, 900, UNIT * 6 - 1, UNIT * 6, UNIT * 6 + 1, 6000, 40_000])
seeds = st.integers(0, 255)


def content(size: int, seed: int) -> bytes:
    return (bytes([seed]) + bytes(range(251)) * (size // 251 + 1))[:size]


def run(coroutine: Any) -> Any:
    TALLY["steps beside a model"] += 1
    return pytest_twisted.blockon(Deferred.fromCoroutine(coroutine))


class Model(RuleBasedStateMachine):
    """Does the same to a cluster and to a plain store, and compares the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp())
        self.plain = PlainStore()
        self.down: set[int] = set()
        TALLY["lives of a cluster beside a model"] += 1

    @initialize()
    def begin(self) -> None:
        from twisted.internet import reactor

        self.cluster = Cluster(self.folder, reactor, count=NODES, unit=UNIT, small_part=Size(1000))
        run(self.cluster.start())

    def teardown(self) -> None:
        try:
            run(self.all_well())
        finally:
            run(self.cluster.stop())
            shutil.rmtree(self.folder)

    async def all_well(self) -> None:
        """Check that, with all nodes back, everything expected is there, and nothing else."""
        for number in sorted(self.down):
            await self.cluster.nodes[number].start()
        await self.cluster.restart_front()
        await self.cluster.status_becomes(
            lambda status: status["ready"] and status["uploads"]["under_way"] == status["reaper"]["doomed"] == 0
        )
        for path, data in self.plain.files.items():
            answer = await self.cluster.get(path)
            assert (answer.code, answer.body) == (200, data)
        told = await propfind(self.cluster, "/", "getetag", "lockdiscovery", depth="infinity")
        assert {path.rstrip("/") for path in told} == {"", *self.plain.files, *self.plain.collections}
        for path, each in told.items():
            assert await noted(self.cluster, path) == self.plain.notes.get(path.rstrip("/"))
            tokens = {token.text for token in each.found[dav("lockdiscovery")].iterfind(".//" + dav("locktoken/*"))}
            assert tokens == {lock.token for lock in self.plain.covering(path.rstrip("/"))}
        await self.journal_agrees()
        stored = [path for path, data in self.plain.files.items() if data]
        etags = {(await self.cluster.ask("HEAD", path)).header("ETag") for path in stored}
        listed = [info.part_id.partition(".")[0] for node in self.cluster.nodes for info in await node.listed()]
        assert {f'"{upload}"' for upload in listed} == etags
        assert len(listed) == NEEDED * len(etags)
        await eventually(lambda: not any(node.half_written() for node in self.cluster.nodes))

    async def journal_agrees(self) -> None:
        """Check that the journal on the disk produces the state that the front has in memory."""
        assert self.cluster.front is not None
        live = self.cluster.front.catalog._state
        await self.cluster.stop_front()
        read = fold(JournalReader(OSFilesystem(), str(self.folder / "front/journal")))
        assert list(records_of(read)) == list(records_of(live))
        assert read.shared == live.shared
        await self.cluster.start_front()

    # Requests of clients

    @rule(path=paths, size=sizes, seed=seeds, known=st.booleans(), submits=submits)
    def put(self, path: str, size: int, seed: int, known: bool, submits: bool) -> None:
        data = content(size, seed)
        headers = self.plain.tokens_for(submits)
        self.stored(
            path, data, run(self.cluster.ask("PUT", path, data if known else ChunkedBody(data), **headers)), submits
        )

    @rule(path=paths, size=sizes, seed=seeds)
    def create(self, path: str, size: int, seed: int) -> None:
        data = content(size, seed)
        answer = run(self.cluster.put(path, data, If_None_Match="*"))
        if path in self.plain.files or path in self.plain.collections:
            assert answer.code == 412
        else:
            self.stored(path, data, answer)

    def stored(self, path: str, data: bytes, answer: Answer, submits: bool = False) -> None:
        if self.plain.is_barred(path, submits, is_new=not self.plain.is_there(path)):
            assert answer.code == 423
        elif path in self.plain.collections:
            assert answer.code == 405
        elif not self.plain.has_parent(path):
            assert answer.code == 409
        elif NODES - len(self.down) < NEEDED:
            # An empty file needs no node, if the front learns in time that it is empty.
            assert answer.code in ({503, 507} if data else {201, 204, 503, 507})
        else:
            assert answer.code == (204 if path in self.plain.files else 201), answer
        if answer.code in {201, 204}:
            self.plain.files[path] = data

    @rule(path=paths, span=st.none() | st.tuples(st.integers(0, 50_000), st.integers(1, 50_000)))
    def get(self, path: str, span: tuple[int, int] | None) -> None:
        headers = {} if span is None else {"Range": f"bytes={span[0]}-{span[0] + span[1] - 1}"}
        try:
            answer = run(self.cluster.get(path, **headers))
        except ResponseFailed:
            assert self.down
            return
        if path not in self.plain.files:
            assert answer.code == (200 if path in self.plain.collections else 404)
            return
        data = self.plain.files[path]
        if answer.code == 503:
            assert self.down
        elif span is None:
            assert (answer.code, answer.body) == (200, data)
        elif span[0] >= len(data):
            assert answer.code == 416
        else:
            assert (answer.code, answer.body) == (206, data[span[0] : sum(span)])

    @rule(path=names, submits=submits)
    def delete(self, path: str, submits: bool) -> None:
        answer = run(self.cluster.ask("DELETE", path, **self.plain.tokens_for(submits)))
        if not self.plain.is_there(path):
            assert answer.code == 404
        elif self.plain.is_barred(path, submits, is_new=True):
            assert answer.code in {423, 207}
        else:
            assert answer.code == 204
            self.plain.forget(path)
            self.plain.unlock_below(path, itself=True)

    @rule(path=st.sampled_from(COLLECTIONS), submits=submits)
    def make_collection(self, path: str, submits: bool) -> None:
        answer = run(self.cluster.ask("MKCOL", path, **self.plain.tokens_for(submits)))
        if self.plain.is_there(path):
            assert answer.code == 405
        elif not self.plain.has_parent(path):
            assert answer.code == 409
        elif self.plain.is_barred(path, submits, is_new=True):
            assert answer.code == 423
        else:
            assert answer.code == 201
            self.plain.collections.add(path)

    @rule(source=names, destination=names, overwrite=st.booleans(), submits=submits)
    def move(self, source: str, destination: str, overwrite: bool, submits: bool) -> None:
        headers = self.plain.tokens_for(submits)
        answer = run(self.cluster.ask("MOVE", source, Destination=destination, Overwrite="FT"[overwrite], **headers))
        inside = is_in(destination, source) or is_in(source, destination) or source == destination
        barred = any(self.plain.is_barred(path, submits, is_new=True) for path in (source, destination))
        if self.transferred(answer, source, destination, inside, barred, overwrite):
            was = self.plain.below(source)
            self.plain.take_place(destination, was, source)
            for path in was:
                self.plain.forget(path)
            self.plain.unlock_below(source, itself=True)

    @rule(source=names, destination=names, overwrite=st.booleans(), deep=st.booleans(), submits=submits)
    def copy(self, source: str, destination: str, overwrite: bool, deep: bool, submits: bool) -> None:
        headers = {"Overwrite": "FT"[overwrite], "Depth": "infinity" if deep else "0", **self.plain.tokens_for(submits)}
        answer = run(self.cluster.ask("COPY", source, Destination=destination, **headers))
        deep |= source in self.plain.files  # of a file, the header is not read
        inside = (deep and is_in(destination, source)) or is_in(source, destination) or source == destination
        if self.transferred(
            answer, source, destination, inside, self.plain.is_barred(destination, submits, is_new=True), overwrite
        ):
            self.plain.take_place(destination, self.plain.below(source) if deep else [source], source)

    def transferred(
        self, answer: Answer, source: str, target: str, inside: bool, barred: bool, overwrite: bool
    ) -> bool:
        if not self.plain.is_there(source):
            expected = {404}
        elif inside:
            expected = {403}
        elif not self.plain.has_parent(target):
            expected = {409}
        elif (self.plain.is_there(target) and not overwrite) or barred:
            expected = {412, 423}
        else:
            expected = {204 if self.plain.is_there(target) else 201}
        assert answer.code in expected, answer
        return answer.code in {201, 204}

    @rule(path=names, text=st.sampled_from(["one", "two"]), sets=st.booleans(), submits=submits)
    def note_property(self, path: str, text: str, sets: bool, submits: bool) -> None:
        inner = f"<t:note>{text}</t:note>" if sets else "<t:note/>"
        kind = "set" if sets else "remove"
        headers = self.plain.tokens_for(submits)
        answer = run(proppatch(self.cluster, path, f"<D:{kind}><D:prop>{inner}</D:prop></D:{kind}>", **headers))
        if not self.plain.is_there(path):
            assert answer.code == 404
        elif self.plain.is_barred(path, submits, is_new=False):
            assert answer.code == 423
        else:
            assert answer.code == 207
            if sets:
                self.plain.notes[path] = text
            else:
                self.plain.notes.pop(path, None)

    @rule(path=names, shared=st.booleans(), deep=st.booleans(), submits=submits)
    def take_lock(self, path: str, shared: bool, deep: bool, submits: bool) -> None:
        headers = {"Depth": "infinity" if deep else "0", **self.plain.tokens_for(submits)}
        answer = run(lock(self.cluster, path, scope="shared" if shared else "exclusive", **headers))
        others = self.plain.covering(path)
        if deep:
            others = others + [each for each in self.plain.locks.values() if is_in(each.path, path)]
        if any(not (shared and other.shared) for other in others):
            assert answer.code in {423, 207}
        elif not self.plain.is_there(path) and not self.plain.has_parent(path):
            assert answer.code == 409
        elif not self.plain.is_there(path) and self.plain.is_barred(path, submits, is_new=True):
            assert answer.code == 423
        else:
            assert answer.code == (200 if self.plain.is_there(path) else 201)
            token = token_of(answer)
            self.plain.locks[token] = PlainLock(path, token, shared, deep)
            if not self.plain.is_there(path):
                self.plain.files[path] = b""

    @precondition(lambda self: self.plain.locks)
    @rule(number=st.integers(0, 9), releases=st.booleans())
    def release_or_refresh_lock(self, number: int, releases: bool) -> None:
        found = list(self.plain.locks.values())[number % len(self.plain.locks)]
        if releases:
            assert run(self.cluster.ask("UNLOCK", found.path, Lock_Token=f"<{found.token}>")).code == 204
            del self.plain.locks[found.token]
        else:
            assert run(self.cluster.ask("LOCK", found.path, If=f"(<{found.token}>)")).code == 200

    @rule(path=paths, size=st.sampled_from([900, 40_000]), sent=st.integers(0, 39_999))
    def break_off(self, path: str, size: int, sent: int) -> None:
        run(self.leave_in_the_middle(path, size, min(sent, size - 1)))

    async def leave_in_the_middle(self, path: str, size: int, sent: int) -> None:
        client = await self.cluster.connect()
        client.begin("PUT", path, f"Content-Length: {size}")
        client.send(bytes(sent))
        if sent % 2:
            await self.cluster.status()  # gives the front time to read it
        client.reset()

    @rule(path=paths, size=sizes, first=seeds, second=seeds)
    def put_two_at_once(self, path: str, size: int, first: int, second: int) -> None:
        if self.down or not self.plain.has_parent(path) or path in self.plain.collections:
            return
        if self.plain.is_barred(path, False, is_new=path not in self.plain.files):
            return
        datas = [content(size, first), content(size + 1, second)]
        puts = [Deferred.fromCoroutine(self.cluster.put(path, data)) for data in datas]
        codes = [pytest_twisted.blockon(each).code for each in puts]
        assert sorted(codes) in ([204, 204], [201, 204])
        answer = run(self.cluster.get(path))
        assert answer.body in datas
        self.plain.files[path] = answer.body

    # Failures

    @rule()
    def restart_front(self) -> None:
        run(self.cluster.restart_front())

    @rule(path=paths, sent=st.integers(0, 39_999))
    def crash_front(self, path: str, sent: int) -> None:
        run(self.crash_in_the_middle(path, sent))

    async def crash_in_the_middle(self, path: str, sent: int) -> None:
        client = await self.cluster.connect()
        client.begin("PUT", path, "Content-Length: 40000")
        client.send(bytes(sent))
        await self.cluster.status()
        await self.cluster.crash_front()
        await self.cluster.start_front()

    @precondition(lambda self: self.plain.files)
    @rule(pick=st.integers(0, 100), index=st.integers(0, NEEDED - 1), number=numbers)
    def move_part(self, pick: int, index: int, number: int) -> None:
        path = sorted(self.plain.files)[pick % len(self.plain.files)]
        run(self.move_part_to(path, index, f"n{number + 1}"))
        if not self.down:
            answer = run(self.cluster.get(path))
            assert (answer.code, answer.body) == (200, self.plain.files[path])

    async def move_part_to(self, path: str, index: int, node: str) -> None:
        front = self.cluster.front
        assert front is not None
        manifest = await front.catalog.lookup(path)
        if isinstance(manifest, Manifest) and manifest.nodes:
            TALLY["parts moved beside a model, or not"] += 1
            # A node may be down, or may have the file's part or a copy that is not deleted yet.
            with suppress(MoveRefused, StoragedError):
                await front.upkeep.mover.move(manifest, index, node, Pace(None, None))

    @precondition(lambda self: len(self.down) < 3)
    @rule(number=numbers)
    def lose_node(self, number: int) -> None:
        if number not in self.down:
            self.down.add(number)
            note(f"down: {self.down}")
            run(self.cluster.break_node(number))

    @rule(number=numbers)
    def bring_node_back(self, number: int) -> None:
        if number in self.down:
            self.down.discard(number)
            run(self.cluster.nodes[number].start())
            run(self.cluster.look_at_nodes())

    @rule(number=numbers)
    def restart_node(self, number: int) -> None:
        if number not in self.down:
            run(self.cluster.break_node(number))
            run(self.cluster.nodes[number].start())
            run(self.cluster.look_at_nodes())

    @rule(path=paths, size=sizes, seed=seeds, number=numbers)
    def put_while_a_node_is_slow(self, path: str, size: int, seed: int, number: int) -> None:
        data = content(size, seed)
        self.stored(path, data, run(self.put_slowly(path, data, number)))

    async def put_slowly(self, path: str, data: bytes, number: int) -> Answer:
        filesystem = self.cluster.nodes[number].filesystem
        filesystem.hold("write")
        answer = Deferred.fromCoroutine(self.cluster.put(path, data))
        await eventually(lambda: filesystem.waiting or answer.called or number in self.down or self.is_idle())
        filesystem.release()
        return await answer

    def is_idle(self) -> bool:
        """Return whether no node is writing a part, because the slow node was not chosen."""
        return all(not node.half_written() for node in self.cluster.nodes)


Model.TestCase.settings = settings(
    max_examples=25 * EFFORT,
    stateful_step_count=25,
    deadline=None,
    derandomize=EFFORT == 1,  # the same sequences in each run, except with `make crash`
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestModel = Model.TestCase
