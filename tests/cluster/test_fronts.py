"""Several fronts over one catalog in a database, and a database that is away."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import count
from urllib.parse import quote

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from splitd.model.conditions import ALWAYS
from splitd.model.manifest import Manifest
from splitd.service import Front
from storaged.system.parallel import gather
from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.test_small_files_at_once import LOCK, SLOWLY, ask, told
from tests.cluster.waiting import becomes
from tests.cluster.watching import watch
from tests.histories import Event, explain_stale
from tests.postgres import Postgres, postgres

FILES = 20


class Fronts:
    """A cluster with two fronts."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.urls: list[str] = []
        self._more: list[Front] = []

    async def start(self) -> None:
        await self.cluster.start()
        self.urls.append(f"http://127.0.0.1:{self.cluster.port}")
        front = self.cluster.make_other_front()
        self._more.append(front)
        await front.start()
        assert front.endpoints.port is not None
        self.urls.append(f"http://127.0.0.1:{front.endpoints.port.getHost().port}")

    @property
    def fronts(self) -> list[Front]:
        assert self.cluster.front is not None
        return [self.cluster.front, *self._more]

    async def ask_for(self, layout: str) -> None:
        """Tell the second front that files in `/c` get a layout."""
        port = self.fronts[1].endpoints.admin_port
        assert port is not None
        url = f"http://127.0.0.1:{port.getHost().port}/layout?path=/c&layout={quote(layout)}"
        assert (await self.cluster.ask("PUT", url)).code == 200

    async def stop(self) -> None:
        for front in self._more:
            await front.stop()

    async def ask(self, number: int, method: str, path: str, data: bytes = b"", **headers: str) -> Answer:
        body = BytesIO(data) if method == "PUT" else None
        return await self.cluster.ask(method, self.urls[number % 2] + path, body, **headers)


SMALL_PART = 128 * 1024


@pytest.fixture
def fronts(make_cluster: Callable[..., Cluster], request: pytest.FixtureRequest) -> Iterator[Fronts]:
    """Two fronts; a test may name the largest part of a small file as the fixture's parameter."""
    url = postgres().url(postgres().new_schema())
    both = Fronts(make_cluster(catalog=url, small_part=Size(getattr(request, "param", SMALL_PART))))
    pytest_twisted.blockon(Deferred.fromCoroutine(both.start()))
    yield both
    pytest_twisted.blockon(Deferred.fromCoroutine(both.stop()))


@pytest_twisted.ensureDeferred
async def test_each_front_serves_what_the_other_one_has_stored(fronts: Fronts) -> None:
    data = {f"/c/{number}": os.urandom(5000 + number) for number in range(FILES)}
    assert (await fronts.ask(0, "MKCOL", "/c")).code == 201
    for number, (path, body) in enumerate(data.items()):
        assert (await fronts.ask(number, "PUT", path, body)).code == 201
    for number, (path, body) in enumerate(data.items()):
        got = await fronts.ask(number + 1, "GET", path)
        assert (got.code, got.body) == (200, body)
    assert (await fronts.ask(1, "MOVE", "/c", Destination=f"{fronts.urls[1]}/d")).code == 201
    assert (await fronts.ask(0, "GET", "/c/1")).code == 404
    assert (await fronts.ask(0, "GET", "/d/1")).body == data["/c/1"]
    assert (await fronts.ask(1, "DELETE", "/d")).code == 204
    assert (await fronts.ask(0, "PROPFIND", "/", Depth="1")).text.count("<D:response>") <= 1


@pytest.mark.parametrize("fronts", [SMALL_PART, 1500], indirect=True, ids=["whole", "streamed the second time"])
@pytest_twisted.ensureDeferred
async def test_a_small_file_gets_the_layout_that_the_other_front_was_told_just_before(fronts: Fronts) -> None:
    one, two = fronts.fronts
    assert (await fronts.ask(0, "MKCOL", "/c")).code == 201
    assert (await ask(fronts.cluster, "PUT", "/c/replaced", body=b"before")).code == 201
    for wanted, path, code in (("4+2", "/c/new", 201), ("2+1", "/c/replaced", 204), ("6+0", "/c/new", 204)):
        await fronts.ask_for(wanted)
        data = os.urandom(5000)
        assert one.catalog.admit_at_once(path, ALWAYS) is not None
        assert (await ask(fronts.cluster, "PUT", path, body=data)).code == code
        manifest = await two.catalog.lookup(path)
        assert isinstance(manifest, Manifest)
        assert f"{manifest.data}+{manifest.parity}" == wanted
        assert (await fronts.ask(1, "GET", path)).body == data
    uploads = (await fronts.cluster.status())["uploads"]
    assert (uploads["under_way"], uploads["committed"], uploads["aborted"]) == (0, 4, 0)
    assert uploads["bytes"] == len(b"before") + 3 * len(data)


@pytest_twisted.ensureDeferred
async def test_a_small_file_that_cannot_be_stored_in_its_new_layout_is_aborted_once(fronts: Fronts) -> None:
    cluster = fronts.cluster
    assert (await fronts.ask(0, "MKCOL", "/c")).code == 201
    await fronts.ask_for("2+1")
    assert (await ask(cluster, "PUT", "/c/before", body=b"before")).code == 201
    await fronts.ask_for("6+0")
    await cluster.nodes[2].stop()
    assert (await ask(cluster, "PUT", "/of-six-parts", body=b"after")).code in {503, 507}  # now the front knows
    aborted = (await cluster.status())["uploads"]["aborted"]
    assert fronts.fronts[0].catalog.admit_at_once("/c/new", ALWAYS) is not None
    assert (await ask(cluster, "PUT", "/c/new", body=b"after")).code == 507
    uploads = (await cluster.status())["uploads"]
    assert (uploads["under_way"], uploads["committed"], uploads["aborted"]) == (0, 1, aborted + 1)
    await cluster.nodes[2].start()


@pytest_twisted.ensureDeferred
async def test_a_small_file_is_refused_for_what_the_other_front_has_done_just_before(fronts: Fronts) -> None:
    cluster, one = fronts.cluster, fronts.fronts[0]
    for folder in ("/c", "/d"):
        assert (await fronts.ask(0, "MKCOL", folder)).code == 201
        assert (await ask(cluster, "PUT", f"{folder}/f", body=b"before")).code == 201
    for method, obstacle, path, code in (
        ("DELETE", "/d", "/d/f", 409),
        ("MKCOL", "/c/folder", "/c/folder", 405),
        ("LOCK", "/c/locked", "/c/locked", 423),
    ):
        made = await cluster.ask(method, fronts.urls[1] + obstacle, LOCK if method == "LOCK" else None)
        assert made.code in {201, 204}
        assert one.catalog.admit_at_once(path, ALWAYS) is not None
        at_once, slowly = [await ask(cluster, "PUT", path, *more, body=b"after") for more in ((), (SLOWLY,))]
        assert told(at_once) == told(slowly)
        assert at_once.code == code
    uploads = (await cluster.status())["uploads"]
    assert (uploads["under_way"], uploads["committed"]) == (0, 2)


@pytest_twisted.ensureDeferred
async def test_no_body_is_asked_for_that_is_refused_for_what_the_other_front_has_done(fronts: Fronts) -> None:
    cluster, one = fronts.cluster, fronts.fronts[0]
    assert (await fronts.ask(0, "MKCOL", "/c")).code == 201
    assert (await ask(cluster, "PUT", "/c/f", body=b"before")).code == 201
    for path, *expecting in (("/c/a",), ("/c/b", "Expect: 100-continue")):
        assert (await fronts.ask(1, "MKCOL", path)).code == 201
        assert one.catalog.admit_at_once(path, ALWAYS) is not None
        client = await cluster.connect()
        client.begin("PUT", path, "Content-Length: 5", *expecting)
        assert (await client.answer()).code == 405
        client.leave()
    client = await cluster.connect()
    client.begin("PUT", "/c/new", "Content-Length: 5", "Expect: 100-continue")
    assert (await client.answer()).code == 100
    client.send(b"after")
    assert (await client.answer()).code == 201
    client.leave()


@pytest_twisted.ensureDeferred
async def test_of_two_who_create_a_file_on_two_fronts_one_wins(fronts: Fronts) -> None:
    for number in range(FILES):
        racing = [fronts.ask(front, "PUT", f"/{number}", bytes([front]) * 9, If_None_Match="*") for front in (0, 1)]
        codes = [answer.code for answer in await gather(racing)]
        assert sorted(codes) == [201, 412]
        for front in (0, 1):
            assert (await fronts.ask(front, "GET", f"/{number}")).body == bytes([codes.index(201)]) * 9


@pytest_twisted.ensureDeferred
async def test_racing_clients_of_two_fronts_read_what_was_stored_last(fronts: Fronts) -> None:
    steps, values, history = count(1), count(1), list[Event]()
    names, writes, reads, readers = ("/a", "/b"), 12, 60, 4
    watching = [watch(front) for front in fronts.fronts]

    async def write(number: int, path: str) -> None:
        for turn in range(writes):
            value, began = next(values), next(steps)
            assert (await fronts.ask(number + turn, "PUT", path, b"%d" % value)).code in {201, 204}
            history.append(Event(began, next(steps), path, value, writes=True))

    async def read(number: int) -> None:
        for turn in range(reads):
            path, began = names[turn % 2], next(steps)
            answer = await fronts.ask(number, "GET", path)
            value = int(answer.body) if answer.code == 200 else 0
            history.append(Event(began, next(steps), path, value, writes=False))

    writers = [write(number, path) for number, path in enumerate(names)]
    await gather([*writers, *(read(number) for number in range(readers))])
    assert explain_stale(history) == ""
    # Some were answered by a proof, and the others by a look.
    assert sum(each.left for each in watching) < len(names) * writes + readers * reads


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server of its own, for a test that stops it."""
    own = Postgres()
    yield own
    own.stop()


@pytest_twisted.ensureDeferred
async def test_while_the_database_is_away_all_is_told_to_come_later_and_then_all_is_there(
    make_cluster: Callable[..., Cluster], server: Postgres
) -> None:
    cluster = make_cluster(catalog=server.url("public"))
    await cluster.start()
    assert (await cluster.put("/before", b"kept")).code == 201
    server.kill()
    for method, path in (("PUT", "/new"), ("GET", "/before"), ("DELETE", "/before"), ("MKCOL", "/c")):
        answer = await cluster.ask(method, path, BytesIO(b"new") if method == "PUT" else None)
        assert answer.code == 503, (method, answer.text)
        assert answer.header("Retry-After")
    server.start()

    async def is_back() -> object:  # each of the connections to the database is made again by itself
        codes = [(await cluster.put("/after", b"new")).code, (await cluster.get("/before")).code]
        return 503 not in [*codes, (await cluster.get("/c")).code]

    await becomes(is_back)
    assert (await cluster.get("/before")).body == b"kept"
    assert (await cluster.get("/after")).body == b"new"
    assert (await cluster.get("/c")).code == 404
    assert (await cluster.status())["uploads"]["under_way"] == 0


@pytest_twisted.ensureDeferred
async def test_a_front_that_starts_before_its_database_waits_for_it(
    make_cluster: Callable[..., Cluster], server: Postgres
) -> None:
    cluster = make_cluster(catalog=server.url("public"))
    await cluster.start()
    assert (await cluster.put("/before", b"kept")).code == 201
    await cluster.stop_front()
    server.kill()
    starting = Deferred.fromCoroutine(cluster.start_front())

    async def waits() -> object:
        return cluster.front is not None and "does not answer" in cluster.front.catalog.problem

    await becomes(waits)
    assert not starting.called
    server.start()
    await starting
    assert (await cluster.get("/before")).body == b"kept"


@pytest_twisted.ensureDeferred
async def test_a_front_that_waits_for_its_database_can_be_stopped(
    make_cluster: Callable[..., Cluster], server: Postgres
) -> None:
    cluster = make_cluster(catalog=server.url("public"))
    server.kill()
    starting = Deferred.fromCoroutine(cluster.start())

    async def waits() -> object:
        return cluster.front is not None and "does not answer" in cluster.front.catalog.problem

    await becomes(waits)
    assert cluster.front is not None
    await cluster.front.stop()
    with pytest.raises(CancelledError):
        await starting
    server.start()


@pytest_twisted.ensureDeferred
async def test_the_status_of_each_front_shows_both(fronts: Fronts) -> None:
    seen = (await fronts.cluster.status())["fronts"]
    assert [(front["gone"], front["asked"], front["upkeep"]) for front in seen] == [
        (False, True, ["upkeep"]),
        (False, False, []),
    ]
    assert all(front["address"] and front["version"] for front in seen)
