"""A cluster against a plain dict: any sequence of what clients do and what goes wrong."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest_twisted
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from twisted.internet.defer import Deferred
from twisted.web.client import ResponseFailed

from storaged.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.test_round_trip import ChunkedBody
from tests.cluster.waiting import eventually
from tests.tally import EFFORT, TALLY

NODES = 8
NEEDED = 6
UNIT = 512

PATHS = ["/a", "/b", "/c/a", "/c/b", "/d/a"]
COLLECTIONS = ["/c", "/d"]
paths = st.sampled_from(PATHS)
numbers = st.integers(0, NODES - 1)
sizes = st.sampled_from([0, 1, 5, 6, 7, 900, UNIT * 6 - 1, UNIT * 6, UNIT * 6 + 1, 6000, 40_000])
seeds = st.integers(0, 255)


def content(size: int, seed: int) -> bytes:
    return (bytes([seed]) + bytes(range(251)) * (size // 251 + 1))[:size]


def run(coroutine: Any) -> Any:
    TALLY["steps beside a model"] += 1
    return pytest_twisted.blockon(Deferred.fromCoroutine(coroutine))


class Model(RuleBasedStateMachine):
    """What there should be: files by their paths, and collections."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp())
        self.files: dict[str, bytes] = {}
        self.collections: set[str] = set()
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
        """With all nodes back everything is there, and nothing else."""
        for number in sorted(self.down):
            await self.cluster.nodes[number].start()
        await self.cluster.restart_front()
        await self.cluster.status_becomes(
            lambda status: status["ready"] and status["uploads"]["under_way"] == status["reaper"]["doomed"] == 0
        )
        for path, data in self.files.items():
            answer = await self.cluster.get(path)
            assert (answer.code, answer.body) == (200, data)
        etags = {(await self.cluster.ask("HEAD", path)).header("ETag") for path, data in self.files.items() if data}
        listed = [info.part_id.partition(".")[0] for node in self.cluster.nodes for info in await node.listed()]
        assert {f'"{upload}"' for upload in listed} == etags
        assert len(listed) == NEEDED * len(etags)
        await eventually(lambda: not any(node.half_written() for node in self.cluster.nodes))

    # What clients do

    @rule(path=paths, size=sizes, seed=seeds, known=st.booleans())
    def put(self, path: str, size: int, seed: int, known: bool) -> None:
        data = content(size, seed)
        self.stored(path, data, run(self.cluster.put(path, data if known else ChunkedBody(data))))

    @rule(path=paths, size=sizes, seed=seeds)
    def create(self, path: str, size: int, seed: int) -> None:
        data = content(size, seed)
        answer = run(self.cluster.put(path, data, If_None_Match="*"))
        if path in self.files:
            assert answer.code == 412
        else:
            self.stored(path, data, answer)

    def stored(self, path: str, data: bytes, answer: Answer) -> None:
        if not self.has_parent(path):
            assert answer.code == 409
        elif NODES - len(self.down) < NEEDED:
            # An empty file needs no node, where the front knows in time that it is empty.
            assert answer.code in ({503, 507} if data else {201, 204, 503, 507})
        else:
            assert answer.code == (204 if path in self.files else 201), answer
        if answer.code in {201, 204}:
            self.files[path] = data

    @rule(path=paths, span=st.none() | st.tuples(st.integers(0, 50_000), st.integers(1, 50_000)))
    def get(self, path: str, span: tuple[int, int] | None) -> None:
        headers = {} if span is None else {"Range": f"bytes={span[0]}-{span[0] + span[1] - 1}"}
        try:
            answer = run(self.cluster.get(path, **headers))
        except ResponseFailed:
            assert self.down
            return
        if path not in self.files:
            assert answer.code == 404
            return
        data = self.files[path]
        if answer.code == 503:
            assert self.down
        elif span is None:
            assert (answer.code, answer.body) == (200, data)
        elif span[0] >= len(data):
            assert answer.code == 416
        else:
            assert (answer.code, answer.body) == (206, data[span[0] : sum(span)])

    @rule(path=st.sampled_from([*PATHS, *COLLECTIONS]))
    def delete(self, path: str) -> None:
        answer = run(self.cluster.ask("DELETE", path))
        gone = [each for each in self.files if each == path or each.startswith(path + "/")]
        assert answer.code == (204 if gone or path in self.collections else 404)
        for each in gone:
            del self.files[each]
        self.collections.discard(path)

    @rule(path=st.sampled_from(COLLECTIONS))
    def make_collection(self, path: str) -> None:
        answer = run(self.cluster.ask("MKCOL", path))
        assert answer.code == (405 if path in self.collections else 201)
        self.collections.add(path)

    @rule(path=paths, size=st.sampled_from([900, 40_000]), sent=st.integers(0, 39_999))
    def break_off(self, path: str, size: int, sent: int) -> None:
        run(self.leave_in_the_middle(path, size, min(sent, size - 1)))

    async def leave_in_the_middle(self, path: str, size: int, sent: int) -> None:
        client = await self.cluster.connect()
        client.begin("PUT", path, f"Content-Length: {size}")
        client.send(bytes(sent))
        if sent % 2:
            await self.cluster.status()  # time for it to be read
        client.reset()

    @rule(path=paths, size=sizes, first=seeds, second=seeds)
    def put_two_at_once(self, path: str, size: int, first: int, second: int) -> None:
        if self.down or not self.has_parent(path):
            return
        datas = [content(size, first), content(size + 1, second)]
        puts = [Deferred.fromCoroutine(self.cluster.put(path, data)) for data in datas]
        codes = [pytest_twisted.blockon(each).code for each in puts]
        assert sorted(codes) in ([204, 204], [201, 204])
        answer = run(self.cluster.get(path))
        assert answer.body in datas
        self.files[path] = answer.body

    def has_parent(self, path: str) -> bool:
        parent = path.rpartition("/")[0]
        return not parent or parent in self.collections

    # What goes wrong

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
        """Whether another node waits for nothing: the slow one was not chosen."""
        return all(not node.half_written() for node in self.cluster.nodes)


Model.TestCase.settings = settings(
    max_examples=25 * EFFORT,
    stateful_step_count=25,
    deadline=None,
    derandomize=EFFORT == 1,  # the same lives each time, but for `make crash`
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestModel = Model.TestCase
