"""A path as long as any can be: whatever can be stored can be listed, renamed, locked, copied and deleted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

import pytest
import pytest_twisted

from splitd.frontends.http.targets import HEAD_LIMIT
from splitd.model.path_faults import MAX_PATH
from tests.cluster.cluster import Cluster
from tests.cluster.multistatus import propfind
from tests.cluster.raw import RawAnswer

NAME = "漢" * 85
FOLDERS = 15
LOCK = (
    b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    b"<D:locktype><D:write/></D:locktype></D:lockinfo>"
)


def path_of(last: str) -> str:
    """A path of as many bytes as a path may have, whose last name begins with some text."""
    path = f"/{NAME}" * FOLDERS + f"/{last}"
    return path + "漢" * ((MAX_PATH - len(path.encode())) // 3)


ONE, TWO, THREE = (path_of(last) for last in ("one", "two", "thr"))


async def ask(
    cluster: Cluster, method: str, path: str, *headers: str, body: bytes = b"", raw: bool = False
) -> RawAnswer:
    """A request on a connection of its own, its path percent-encoded or not."""
    client = await cluster.connect()
    client.begin(method, path if raw else quote(path), f"Content-Length: {len(body)}", *headers)
    client.send(body)
    return await client.answer()


async def make_folders(cluster: Cluster) -> None:
    for depth in range(1, FOLDERS + 1):
        assert (await ask(cluster, "MKCOL", f"/{NAME}" * depth)).code == 201


def tagged(port: int, *terms: tuple[str, str]) -> str:
    """An `If` header with tags, as long as they can be written."""
    return "If: " + " ".join(f"<http://127.0.0.1:{port}{quote(path)}> ({term})" for path, term in terms)


def token_of(answer: RawAnswer) -> str:
    return answer.headers["lock-token"]


def sizes(paths: Sequence[str]) -> set[int]:
    return {len(path.encode()) for path in paths}


@pytest.mark.parametrize("raw", [False, True])
@pytest_twisted.ensureDeferred
async def test_every_method_takes_it(cluster: Cluster, raw: bool) -> None:
    assert sizes([ONE, TWO, THREE]) == {MAX_PATH}
    host = f"Destination: http://127.0.0.1:{cluster.port}"
    await make_folders(cluster)
    assert (await ask(cluster, "PUT", ONE, body=b"abc", raw=raw)).code == 201
    assert (await ask(cluster, "GET", ONE, raw=raw)).body == b"abc"
    assert (await ask(cluster, "COPY", ONE, host + quote(TWO), raw=raw)).code == 201
    folder = ONE.rpartition("/")[0]
    assert set(await propfind(cluster, quote(folder), depth="1")) == {f"{folder}/", ONE, TWO}
    assert set(await propfind(cluster, quote(ONE))) == {ONE}
    one = token_of(await ask(cluster, "LOCK", ONE, body=LOCK, raw=raw))
    two = token_of(await ask(cluster, "LOCK", TWO, body=LOCK, raw=raw))
    assert (await ask(cluster, "MOVE", ONE, host + quote(TWO), raw=raw)).code == 423
    both = tagged(cluster.port, (ONE, one), (TWO, two))
    assert (await ask(cluster, "LOCK", ONE, tagged(cluster.port, (ONE, one)), raw=raw)).code == 200
    assert (await ask(cluster, "MOVE", ONE, host + quote(TWO), both, raw=raw)).code == 204
    assert (await ask(cluster, "GET", ONE, raw=raw)).code == 404
    assert (await ask(cluster, "UNLOCK", TWO, f"Lock-Token: {two}", raw=raw)).code == 204
    assert (await ask(cluster, "MOVE", TWO, host + quote(THREE), raw=raw)).code == 201
    assert (await ask(cluster, "PROPPATCH", THREE, body=PATCH, raw=raw)).code == 207
    assert (await ask(cluster, "DELETE", THREE, raw=raw)).code == 204
    assert (await ask(cluster, "MKCOL", THREE, raw=raw)).code == 201
    assert (await ask(cluster, "DELETE", THREE, raw=raw)).code == 204


PATCH = b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><x xmlns="urn:x">y</x></D:prop></D:set></D:propertyupdate>'


@pytest_twisted.ensureDeferred
async def test_it_is_listed_and_outlasts_a_restart(cluster: Cluster) -> None:
    await make_folders(cluster)
    for path in (ONE, TWO):
        assert (await ask(cluster, "PUT", path, body=b"abc")).code == 201
    token = token_of(await ask(cluster, "LOCK", ONE, body=LOCK))
    await cluster.restart_front()
    assert (await ask(cluster, "GET", ONE)).body == b"abc"
    assert (await ask(cluster, "PUT", ONE, body=b"def")).code == 423
    assert (await ask(cluster, "PUT", ONE, tagged(cluster.port, (ONE, token)), body=b"def")).code == 204
    folder, _, name = ONE.rpartition("/")
    listed = await ask(cluster, "GET", f"{folder}/", "Accept: application/json")
    assert [each["name"] for each in json.loads(listed.body)["members"]] == [name, TWO.rpartition("/")[2]]
    client = await cluster.connect()
    client.begin("GET", f"{quote(folder)}/?after={quote(name)}", "Accept: application/json")
    assert [each["name"] for each in json.loads((await client.answer()).body)["members"]] == [TWO.rpartition("/")[2]]
    client.begin("GET", f"{quote(folder)}/", "Connection: close")
    assert quote(ONE).encode() in await client.until_ended()


@pytest.mark.parametrize("raw", [False, True])
@pytest_twisted.ensureDeferred
async def test_one_byte_more_is_refused_with_a_reason(cluster: Cluster, raw: bool) -> None:
    await make_folders(cluster)
    for path in (ONE + "x", ONE[:-1] + "éé"):
        assert len(path.encode()) == MAX_PATH + 1
        answer = await ask(cluster, "PUT", path, body=b"abc", raw=raw)
        assert (answer.code, f"{MAX_PATH + 1} bytes, {MAX_PATH} are allowed".encode() in answer.body) == (400, True)
    assert (await ask(cluster, "PUT", ONE, body=b"abc")).code == 201
    answer = await ask(cluster, "MOVE", ONE, f"Destination: {quote(TWO + 'x')}")
    assert (answer.code, b"4097 bytes" in answer.body) == (400, True)
    assert (await ask(cluster, "GET", ONE)).body == b"abc"


@pytest_twisted.ensureDeferred
async def test_a_head_beyond_the_limit_is_refused_with_the_limit(cluster: Cluster) -> None:
    for code, lines in [
        (431, ["PUT /a", "X: " + "y" * HEAD_LIMIT]),
        (414, ["PUT /" + "a" * HEAD_LIMIT]),
    ]:
        client = await cluster.connect()
        client.begin("PUT", lines[0].removeprefix("PUT "), *lines[1:], "Content-Length: 0")
        answer = await client.answer()
        assert (answer.code, str(HEAD_LIMIT).encode() in answer.body) == (code, True)


def test_the_limit_holds_the_longest_path_four_times() -> None:
    assert HEAD_LIMIT - 4 * len(quote(ONE)) >= 16 * 1024 - 4 * len(quote("/one"))
