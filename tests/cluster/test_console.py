"""The console, as the front answers it: the page, its assets, and its JSON."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from unicodedata import normalize
from urllib.parse import quote, urlencode

import pytest
import pytest_twisted

from splitd.frontends.console.assets import ENTRY, Assets
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.test_long_collections import fill

BUDGET = 200 * 1024
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVIL = "<script>alert(1)<!--"


async def api(cluster: Cluster, name: str, **parameters: object) -> Answer:
    return await cluster.get(f"/.splitd/api/{name}?{urlencode(parameters)}")


async def members(cluster: Cluster, **parameters: object) -> list[str]:
    page = json.loads((await api(cluster, "list", **parameters)).body)
    return [name for name, *_ in page["members"]]


def started(page: Answer) -> dict[str, object]:
    """What the page shows first."""
    found = re.search(r'<script type="application/json" id="start">(.*?)</script>', page.text)
    assert found is not None
    known: dict[str, object] = json.loads(found[1])
    return known


@pytest_twisted.ensureDeferred
async def test_a_browser_gets_the_page_and_programs_get_what_they_ask_for(cluster: Cluster) -> None:
    await cluster.ask("MKCOL", "/a")
    await cluster.put("/a/f", b"content")
    for path in ("/", "/a", "/a/"):
        page = await cluster.get(path, **HTML)
        assert (page.code, '<div id="app">' in page.text) == (200, True)
        assert "?plain" in page.text  # for those without scripts
        assert (await cluster.get(path + "?plain", **HTML)).text.count("<table") == 1
        assert (await cluster.get(path)).text.count("<table") == 1
        assert json.loads((await cluster.get(path, Accept="application/json")).body)["path"]
    assert (await cluster.get("/a/f", **HTML)).body == b"content"
    assert (await cluster.get("/nothing/", **HTML)).code == 404


@pytest_twisted.ensureDeferred
async def test_the_page_runs_nothing_but_what_has_its_nonce(cluster: Cluster) -> None:
    await cluster.ask("MKCOL", "/a")
    await cluster.put(f"/a/{quote(EVIL, safe='')}", b"x", Content_Type="text/</script><script>alert(2)</script>")
    nonces = set()
    for _ in range(2):
        page = await cluster.get("/a/", **HTML)
        policy = page.header("Content-Security-Policy") or ""
        nonce = re.search(r"script-src 'nonce-([\w-]{20,})' 'strict-dynamic'(;|$)", policy)
        assert nonce is not None
        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'")
        scripts = re.findall("<script[^>]*>", page.text)
        assert len(scripts) == 2  # the page's own, and the data, which do not run
        assert f'nonce="{nonce[1]}"' in scripts[0]
        nonces.add(nonce[1])
        assert page.header("Cache-Control") == "no-store"
        listed = started(page)["list"]
        assert isinstance(listed, dict)
        assert [name for name, *_ in listed["members"]] == [EVIL]
    assert len(nonces) == 2


@pytest_twisted.ensureDeferred
async def test_assets_are_kept_for_ever_under_names_that_change_with_them(cluster: Cluster) -> None:
    page = await cluster.get("/", **HTML)
    urls = re.findall(r'(?:href|src)="(/\.splitd/assets/[^"]+)"', page.text)
    assert len(urls) == 3  # a script, a sheet of styles, an icon
    for url in set(urls):
        packed = await cluster.get(url, Accept_Encoding="gzip")
        assert packed.code == 200
        assert packed.header("Cache-Control") == "public, max-age=31536000, immutable"
        assert packed.header("X-Content-Type-Options") == "nosniff"
        assert packed.header("Vary") == "Accept-Encoding"
        assert packed.body == (await cluster.get(url, Accept_Encoding="identity")).body
    stale = re.sub("assets/[^/]+", "assets/0123456789abcdef", urls[0])
    gone = await cluster.get(stale)
    assert (gone.code, gone.header("Cache-Control")) == (404, "no-store")
    assert (await cluster.get(urls[0].replace("icon.svg", "../door.py"))).code == 404
    assert (await cluster.ask("PUT", urls[0], b"x")).code == 404


def test_the_page_is_small_before_its_first_list_even_without_compression() -> None:
    assets = Assets()
    found = [assets.find(name) for name in [ENTRY, "style.css", "icon.svg"]]
    assert all(found)
    assert sum(len(each.body) for each in found if each is not None) < BUDGET
    for each in filter(None, found):
        assert gzip.decompress(each.packed) == each.body


@pytest_twisted.ensureDeferred
async def test_members_are_listed_page_by_page(cluster: Cluster) -> None:
    fill(cluster, "/many", 2500)
    first = json.loads((await api(cluster, "list", path="/many", limit=1000)).body)
    assert (len(first["members"]), first["next"]) == (1000, "n000999")
    assert first["rights"] == ["read", "write", "admin"]
    names = [name for name, *_ in first["members"]]
    while first["next"]:
        first = json.loads((await api(cluster, "list", path="/many", limit=1000, after=first["next"])).body)
        names += [name for name, *_ in first["members"]]
    assert names == [f"n{number:06}" for number in range(2500)]
    before = first["modified_ms"]
    await cluster.put("/many/more", b"12345", Content_Type="text/x")
    page = json.loads((await api(cluster, "list", path="/many", after="n002499")).body)
    assert [row[:2] + row[3:] for row in page["members"]] == []
    page = json.loads((await api(cluster, "list", path="/many", limit=1)).body)
    assert page["modified_ms"] > before
    assert page["members"][0][:2] == ["more", 5]


@pytest_twisted.ensureDeferred
async def test_a_long_list_is_compressed_for_those_who_take_it(cluster: Cluster) -> None:
    fill(cluster, "/many", 5000)
    url = "/.splitd/api/list?path=/many&limit=10000"
    plain = await cluster.get(url, Accept_Encoding="identity")
    assert (plain.header("Content-Encoding"), "Accept-Encoding" in (plain.header("Vary") or "")) == (None, True)
    for asked, is_packed in ((url, True), (url.replace("10000", "10"), False)):
        client = await cluster.connect()
        client.send(f"GET {asked} HTTP/1.0\r\nAccept-Encoding: gzip, br\r\n\r\n".encode())
        head, _, body = (await client.until_ended()).partition(b"\r\n\r\n")
        assert (b"content-encoding: gzip" in head.lower()) == is_packed
        if is_packed:
            assert gzip.decompress(body) == plain.body
            assert len(body) < len(plain.body) / 5


@pytest.mark.parametrize(
    ("name", "parameters", "code"),
    [
        ("list", {"path": "/nothing"}, 404),
        ("list", {"path": "/f"}, 409),
        ("list", {"path": "a"}, 400),
        ("list", {"path": "/a//b"}, 400),
        ("list", {"limit": "0"}, 400),
        ("list", {"limit": "10001"}, 400),
        ("list", {"limit": "9" * 5000}, 400),
        ("details", {"path": "/nothing"}, 404),
        ("room", {"path": "/nothing"}, 404),
        ("search", {"text": ""}, 400),
        ("search", {"text": "x", "path": "/f"}, 409),
        ("search", {"text": "x", "path": "/nothing"}, 404),
        ("nothing", {}, 404),
        ("login", {}, 405),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_answered_is_refused_in_words(
    cluster: Cluster, name: str, parameters: dict[str, str], code: int
) -> None:
    await cluster.put("/f", b"x")
    answer = await api(cluster, name, **parameters)
    assert (answer.code, answer.header("Content-Type")) == (code, "text/plain; charset=utf-8")
    assert len(answer.text) > 10


@pytest_twisted.ensureDeferred
async def test_a_search_finds_names_at_any_depth_and_says_whether_that_is_all(cluster: Cluster) -> None:
    for path in ("/a", "/a/b", "/a/b/Report", "/other"):
        await cluster.ask("MKCOL", path)
    for path in ("/a/b/Report/x", "/a/report.txt", "/other/report", "/a/b/rapport"):
        await cluster.put(path, b"x")
    *lines, last = [
        json.loads(line) for line in (await api(cluster, "search", path="/a", text="rEPort")).body.splitlines()
    ]
    assert [line[:3] for line in lines] == [["/a", "report.txt", 1], ["/a/b", "Report", -1]]
    assert last == {"complete": True}
    await cluster.put(f"/other/{quote(normalize('NFD', 'Ärger'))}", b"x")
    [found, _] = (await api(cluster, "search", path="/", text=normalize("NFC", "ärg"))).body.splitlines()
    assert json.loads(found)[0] == "/other"
    fill(cluster, "/wide", 1500)
    lines = (await api(cluster, "search", path="/wide", text="n0")).body.splitlines()
    assert len(lines) == 1001
    assert json.loads(lines[-1]) == {"complete": False}


@pytest_twisted.ensureDeferred
async def test_details_say_what_is_known_of_a_file(cluster: Cluster) -> None:
    put = await cluster.put("/f", b"12345", Content_Type="text/x")
    known = json.loads((await api(cluster, "details", path="/f")).body)
    assert known["etag"] == put.header("ETag")
    assert (known["size"], known["content_type"], known["layout"]) == (5, "text/x", "6+0")
    assert json.loads((await api(cluster, "details", path="/")).body)["type"] == "collection"
    room = json.loads((await api(cluster, "room")).body)
    assert room["used"] == 5
    assert room["available"] > 0


@pytest_twisted.ensureDeferred
async def test_without_users_nobody_logs_in(cluster: Cluster) -> None:
    me = json.loads((await api(cluster, "me")).body)
    assert me == {"users": False, "name": "", "operator": True, "session": False, "csrf": "", "bin": 0}
    body = json.dumps({"name": "a", "password": "b"}).encode()
    assert (await cluster.ask("POST", "/.splitd/api/login", body, Content_Type="application/json")).code == 404


@pytest_twisted.ensureDeferred
async def test_the_console_can_be_switched_off(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(console=False)
    await cluster.start()
    assert (await cluster.get("/", **HTML)).text.count("<table") == 1
    assert (await cluster.get("/.splitd/api/me")).code == 400  # no file can have this name


@pytest_twisted.ensureDeferred
async def test_below_a_base_path_the_console_is_there_too(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(base_path="/files")
    await cluster.start()
    page = await cluster.get("/files/", **HTML)
    urls = re.findall(r'(?:href|src)="(/[^"]+)"', page.text)
    assert started(page)["base"] == "/files"
    for url in urls:
        assert url.startswith("/files/.splitd/assets/")
        assert (await cluster.get(url)).code == 200
    assert (await cluster.get("/files/.splitd/api/list")).code == 200


@pytest_twisted.ensureDeferred
async def test_a_page_that_looks_gets_the_last_hour_and_then_each_report(cluster: Cluster) -> None:
    await cluster.put("/f", b"12345")
    client = await cluster.connect()
    client.send(b"GET /.splitd/api/cluster/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await client.until(lambda: b'"sample":' in client.received)
    text = bytes(client.received).decode()
    assert "text/event-stream" in text
    history = re.search(r"event: history\s+data: (\[\[.*?\]\])", text)
    assert history is not None
    assert len(json.loads(history[1])[0]) == 7


@pytest_twisted.ensureDeferred
async def test_a_page_that_looks_does_not_hold_up_a_stop(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(stop_timeout_s=600.0)
    await cluster.start()
    client = await cluster.connect()
    client.send(b"GET /.splitd/api/cluster/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await client.until(lambda: b'"sample":' in client.received)
    await cluster.stop_front()
    assert client.received.endswith(b"\r\n0\r\n\r\n")


@pytest_twisted.ensureDeferred
async def test_without_users_the_cluster_is_for_those_who_call_it_by_a_safe_name(cluster: Cluster) -> None:
    """A page of another site can give its own name the address of this server (DNS rebinding)."""
    for path, method in (("cluster", "GET"), ("cluster/events", "GET"), ("cluster/act/rebalance?dry_run=1", "POST")):
        answer = await cluster.ask(method, f"/.splitd/api/{path}", Host="elsewhere.example")
        assert (answer.code, "names" in answer.text) == (421, True)
    assert (await cluster.get("/.splitd/api/cluster")).code == 200
