"""The console, as the front answers it: the page, its assets, and its JSON."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
import pytest_twisted

from splitd.frontends.console.assets import ENTRY, Assets
from splitd.frontends.console.resource import OPERATIONS
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.test_long_collections import fill
from tests.users import ANNA, RITA, ROOT, write_users

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


# Users


@pytest_twisted.async_yield_fixture
async def guarded(make_cluster: Callable[..., Cluster], tmp_path: Path) -> AsyncIterator[Cluster]:
    """A started cluster with the users of `write_users`."""
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    write_users(cluster.users)
    await cluster.start()
    for path in ("/public", "/anna", "/anna/secret"):
        assert (await cluster.ask("MKCOL", path, Authorization=ROOT)).code == 201
    for path in ("/f", "/anna/secret/s"):
        assert (await cluster.put(path, b"content", Authorization=ROOT)).code == 201
    yield cluster


async def log_in(cluster: Cluster, name: str, password: str, **headers: str) -> Answer:
    body = json.dumps({"name": name, "password": password}).encode()
    return await cluster.ask("POST", "/.splitd/api/login", body, Content_Type="application/json", **headers)


async def session_of(cluster: Cluster, name: str) -> dict[str, str]:
    """Log in; return the headers of a page that has."""
    answer = await log_in(cluster, name, f"{name}-pw")
    assert answer.code == 200
    cookie = (answer.header("Set-Cookie") or "").partition(";")[0]
    return {"Cookie": cookie, "X-Splitd-Csrf": json.loads(answer.body)["csrf"]}


@pytest_twisted.ensureDeferred
async def test_a_browser_is_asked_by_a_form_and_a_program_as_before(guarded: Cluster) -> None:
    asked = await guarded.get("/", **HTML)
    assert asked.code == 401
    assert started(asked)["login"] is True
    assert (asked.header("WWW-Authenticate") or "").startswith("Form")
    assert ((await guarded.get("/")).header("WWW-Authenticate") or "").startswith("Basic")
    assert ((await guarded.get("/f")).header("WWW-Authenticate") or "").startswith("Basic")
    assert (await guarded.get("/", Authorization=RITA, **HTML)).code == 200
    assert (await guarded.get("/public/", **HTML)).code == 200
    assert ((await guarded.get("/f", X_Splitd_Csrf="none")).header("WWW-Authenticate") or "").startswith("Bearer")


@pytest_twisted.ensureDeferred
async def test_a_session_sees_what_its_user_may_see(guarded: Cluster) -> None:
    anna = await session_of(guarded, "anna")
    assert (await guarded.get("/f", Cookie=anna["Cookie"])).body == b"content"
    page = json.loads((await guarded.get("/.splitd/api/list?path=/anna", **anna)).body)
    assert (page["members"], page["rights"]) == ([], ["read", "write"])
    assert (await guarded.get("/.splitd/api/list?path=/anna/secret", **anna)).code == 404
    assert (await guarded.get("/.splitd/api/details?path=/anna/secret/s", **anna)).code == 404
    found = (await guarded.get("/.splitd/api/search?text=s", **anna)).body
    assert b'"s"' not in found
    assert b"secret" not in found
    assert (await guarded.put("/anna/new", b"x", **anna)).code == 201
    assert (await guarded.put("/new", b"x", **anna)).code == 403


@pytest_twisted.ensureDeferred
async def test_a_change_needs_the_token_of_its_session(guarded: Cluster) -> None:
    anna, wrong = await session_of(guarded, "anna"), await session_of(guarded, "anna")
    cookie = anna["Cookie"]
    for headers in ({"Cookie": cookie}, {"Cookie": cookie, "X-Splitd-Csrf": wrong["X-Splitd-Csrf"]}):
        for method, path in (
            ("PUT", "/anna/x"),
            ("MKCOL", "/anna/c"),
            ("DELETE", "/anna"),
            ("POST", "/.splitd/api/logout"),
        ):
            answer = await guarded.ask(method, path, b"x" if method == "PUT" else None, **headers)
            assert (answer.code, "token of its session" in answer.text) == (403, True)
    assert (await guarded.get("/anna/x", **anna)).code == 404
    assert (await guarded.put("/anna/x", b"x", **anna)).code == 201


@pytest_twisted.ensureDeferred
async def test_a_session_ends_here_or_everywhere(guarded: Cluster) -> None:
    first, second, rita = [await session_of(guarded, name) for name in ("anna", "anna", "rita")]
    ended = await guarded.ask("POST", "/.splitd/api/logout", **first)
    assert (ended.code, "Max-Age=0" in (ended.header("Set-Cookie") or "")) == (200, True)
    assert [(await guarded.get("/f", **each)).code for each in (first, second, rita)] == [401, 200, 200]
    third = await session_of(guarded, "anna")
    assert json.loads((await guarded.ask("POST", "/.splitd/api/logout-everywhere", **third)).body) == {"ended": 2}
    assert [(await guarded.get("/f", **each)).code for each in (second, third, rita)] == [401, 401, 200]


@pytest_twisted.ensureDeferred
async def test_a_session_survives_a_restart_of_the_front(guarded: Cluster) -> None:
    anna = await session_of(guarded, "anna")
    await guarded.restart_front()
    assert (await guarded.put("/anna/x", b"x", **anna)).code == 201


@pytest_twisted.ensureDeferred
async def test_a_session_ends_with_the_password_of_its_user(guarded: Cluster) -> None:
    anna = await session_of(guarded, "anna")
    assert guarded.users is not None
    write_users(guarded.users)  # the same passwords, by other hashes
    assert (await guarded.ask("POST", f"{guarded.admin_url}/reload", Authorization=ROOT)).code == 200
    assert (await guarded.get("/f", **anna)).code == 401
    assert (await guarded.get("/f", **await session_of(guarded, "anna"))).code == 200


@pytest_twisted.ensureDeferred
async def test_a_session_ends_with_its_user(guarded: Cluster) -> None:
    anna = await session_of(guarded, "anna")
    assert guarded.users is not None
    text = guarded.users.read_text()
    guarded.users.write_text(text.replace("anna:", "annette:"))
    assert (await guarded.ask("POST", f"{guarded.admin_url}/reload", Authorization=ROOT)).code == 200
    assert (await guarded.get("/f", **anna)).code == 401


@pytest_twisted.ensureDeferred
async def test_a_login_that_is_not_good_begins_nothing(guarded: Cluster) -> None:
    for name, password in (("anna", "wrong"), ("nobody", "x"), ("anna:x", "y"), ("", ""), ("x" * 100, "y")):
        answer = await log_in(guarded, name, password)
        assert (answer.code, answer.header("Set-Cookie")) == (401, None)
    for origin in ("http://elsewhere.example", "null"):
        assert (await log_in(guarded, "anna", "anna-pw", Origin=origin)).code == 403
    assert (await log_in(guarded, "anna", "anna-pw", Sec_Fetch_Site="cross-site")).code == 403
    form = await guarded.ask(
        "POST", "/.splitd/api/login", b"name=anna", Content_Type="application/x-www-form-urlencoded"
    )
    assert form.code == 415
    good = await log_in(guarded, "anna", "anna-pw")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set((good.header("Set-Cookie") or "").split("; "))


@pytest_twisted.ensureDeferred
async def test_the_cookie_of_who_has_come_by_tls_goes_nowhere_without(guarded: Cluster) -> None:
    """Also if TLS ends in a proxy, and the program sends no Origin."""
    for headers, is_secure in (
        ({}, False),
        ({"X_Forwarded_Proto": "https"}, True),
        ({"Forwarded": "proto=https"}, True),
        ({"X_Forwarded_Proto": "http"}, False),
    ):
        good = await log_in(guarded, "anna", "anna-pw", **headers)
        assert good.code == 200
        assert ("Secure" in (good.header("Set-Cookie") or "").split("; ")) == is_secure


@pytest_twisted.ensureDeferred
async def test_a_page_of_another_site_changes_nothing(cluster: Cluster) -> None:
    await cluster.put("/f", b"content")
    foreign: dict[str, str]
    for foreign in ({"Origin": "http://elsewhere.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
        for method, name in (
            *((method, name) for method, name in OPERATIONS if method != "GET"),
            ("POST", "cluster/act/sweep"),
            ("POST", "shares"),
        ):
            answer = await cluster.ask(
                method, f"/.splitd/api/{name}", b'{"path":"/f"}', Content_Type="application/json", **foreign
            )
            assert answer.code == 403, (method, name, foreign)
    assert (await cluster.get("/f")).body == b"content"


@pytest_twisted.ensureDeferred
async def test_the_cluster_is_for_operators(guarded: Cluster) -> None:
    for headers, code in (({}, 401), ({"Authorization": ANNA}, 403), ({"Authorization": ROOT}, 200)):
        assert (await guarded.get("/.splitd/api/cluster", **headers)).code == code
        dry = await guarded.ask("POST", "/.splitd/api/cluster/act/rebalance?dry_run=1", **headers)
        assert dry.code == code
    shown = json.loads((await guarded.get("/.splitd/api/cluster", Authorization=ROOT)).body)
    told = json.loads((await guarded.get(f"{guarded.admin_url}/status", Authorization=ROOT)).body)
    assert shown.keys() == told.keys()
    assert [node["id"] for node in shown["nodes"]] == [node["id"] for node in told["nodes"]]
    assert (await guarded.ask("POST", "/.splitd/api/cluster/act/nothing", Authorization=ROOT)).code == 404
    foreign = await guarded.ask(
        "POST", "/.splitd/api/cluster/act/rebalance?dry_run=1", Authorization=ROOT, Origin="http://elsewhere.example"
    )
    assert foreign.code == 403
