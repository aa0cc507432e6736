"""A thousand slow clients, headers without end, and names that want to be something else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import pytest_twisted

from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.hostile import KEPT, surviving
from tests.cluster.raw import RawClient
from tests.cluster.waiting import eventually

CROWD = 1_000

EVIL = "<script>alert(1)\"'&]]>--><img src=x onerror=alert(1)>"
"""A name, as far as names may have it: without the slash."""


@pytest.fixture
def front(make_cluster: Callable[..., Cluster]) -> Iterator[Cluster]:
    with surviving(make_cluster(small_part=Size(262_144))) as cluster:
        yield cluster


@pytest_twisted.ensureDeferred
async def test_a_thousand_clients_that_drip_keep_nobody_out(front: Cluster) -> None:
    """Slowloris: each sends a piece of a head, or of a body, now and then, and never ends."""
    clients: list[RawClient] = []
    for number in range(CROWD):
        client = await front.connect()
        if number % 2:
            client.send(b"GET /kept HTTP/1.1\r\nHost: t\r\n")
        else:
            client.begin("PUT", f"/{number}", "Content-Length: 1000")
        clients.append(client)
    for part in range(3):
        for client in clients:
            client.send(b"X: y\r\n")
        assert (await front.get("/kept")).body == KEPT
        assert (await front.put("/new", b"%d" % part)).code in {201, 204}
        assert (await front.get("/new")).body == b"%d" % part
    assert (await front.status())["connections"]["open"] >= CROWD
    for client in clients:
        client.reset()
    await front.status_becomes(lambda status: status["connections"]["open"] < CROWD / 2)


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(b"X: y\r\n" * 100_000, id="many headers"),
        pytest.param(b"X: " + b"y" * 1_000_000 + b"\r\n", id="a long value"),
        pytest.param(b"X" * 1_000_000 + b": y\r\n", id="a long name"),
        pytest.param(b"Cookie: " + b"a=b; " * 200_000 + b"\r\n", id="cookies"),
        pytest.param(b"If: " + b"(<urn:x>)" * 100_000 + b"\r\n", id="conditions"),
        pytest.param(b"Range: bytes=" + b"0-1," * 200_000 + b"\r\n", id="ranges"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_bomb_of_headers_is_refused_before_it_is_whole(cluster: Cluster, bomb: bytes) -> None:
    client = await cluster.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n", bomb, b"\r\n")
    answer = await client.answer()
    assert answer.code in {400, 431}
    assert answer.headers["connection"] == "close"
    assert (await cluster.get("/")).code == 200


@pytest_twisted.ensureDeferred
async def test_nothing_that_a_client_sends_makes_a_line_of_a_log(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    for form in ("combined", "json"):
        access, audit = tmp_path / f"{form}.access", tmp_path / f"{form}.audit"
        cluster = make_cluster(access_log=str(access), audit_log=str(audit), access_log_format=form)
        await cluster.start()
        forged = '1.2.3.4 - root [x] "DELETE / HTTP/1.1" 204 0 "-" "-"'
        name = f"a\n{forged}\x1b[2J\u2028\x85"
        for path in (quote(f"/{name}"), "/a%0d%0aSet-Cookie:%20x", "/%1b%5d0;x%07"):
            await cluster.put(path, b"x", User_Agent='"\\ \t' + forged, Referer='x" 200 1 "')
        client = await cluster.connect()
        client.send(b"GET /x HTTP/1.1\r\nHost: t\r\nUser-Agent: \x1b[31m\xff\xe2\x80\xa8\r\n\r\n")
        await client.answer()
        client = await cluster.connect()
        client.send(b"DELETE /b\rx HTTP/1.1\r\nHost: t\r\n\r\n")
        await client.answer()
        await cluster.stop_front()
        await eventually(access.exists)
        text = access.read_bytes()
        assert text.isascii() or form == "json"
        lines = text.decode().split("\n")
        assert not any(line.startswith("1.2.3.4") for line in lines)
        assert not any(character < " " or character in "\x7f\x85\u2028" for line in lines for character in line)
        if form == "json":
            assert all(json.loads(line)["client"] == "127.0.0.1" for line in lines if line)
        for line in audit.read_text().splitlines() if audit.exists() else ():
            assert json.loads(line)["client"] == "127.0.0.1"


@pytest_twisted.ensureDeferred
async def test_names_and_properties_stay_text_in_every_answer(cluster: Cluster) -> None:
    path = "/" + quote(EVIL, safe="")
    assert (await cluster.ask("MKCOL", path)).code == 201
    assert (await cluster.put(f"{path}/{quote(EVIL, safe='')}", b"x", Content_Type='text/html"><script>')).code == 201
    value = EVIL.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    update = (
        '<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop>'
        f'<z xmlns="urn:&quot;&gt;&lt;script&gt;">{value}<b onclick="&quot;&gt;&lt;i&gt;"/></z>'
        "</D:prop></D:set></D:propertyupdate>"
    )
    assert (await cluster.ask("PROPPATCH", path, update.encode())).code == 207
    owner = LOCK.format(value).encode()
    locked = await cluster.ask("LOCK", path, owner)
    assert locked.code == 200
    for method, where, headers in (
        ("GET", "/", {}),
        ("GET", f"{path}/", {}),
        ("GET", f"{path}/nothing{quote(EVIL, safe='')}", {}),
        ("PROPFIND", path, {"Depth": "1"}),
        ("PUT", f"{path}/x", {}),
        ("COPY", path, {"Destination": "http://elsewhere/" + quote(EVIL)}),
        ("GET", f"{path}/{quote(EVIL, safe='')}/", {}),
        ("BREW", path, {}),
    ):
        answer = await cluster.ask(method, where, b"x" if method == "PUT" else None, **headers)
        kind = (answer.header("Content-Type") or "").partition(";")[0]
        if kind == "application/xml":
            ElementTree.fromstring(answer.text)
            assert "<script" not in answer.text
            assert "<img" not in answer.text
        elif kind == "text/html":
            assert answer.text.count("<script") == 1  # the page's own, which its policy names by its hash
            assert "<img" not in answer.text
            assert "script-src 'sha256-" in (answer.header("Content-Security-Policy") or "")
        else:
            assert kind in {"text/plain", ""}, (method, where, kind)
    got = await cluster.get(f"{path}/{quote(EVIL, safe='')}")
    assert (got.header("Content-Security-Policy"), got.header("X-Content-Type-Options")) == ("sandbox", "nosniff")


LOCK = (
    '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    "<D:locktype><D:write/></D:locktype><D:owner>{}</D:owner></D:lockinfo>"
)
