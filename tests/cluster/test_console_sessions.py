"""Who may use the console: logins by its form, their sessions, other sites, and operators."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_twisted

from splitd.frontends.console.resource import OPERATIONS
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.test_console import HTML, started
from tests.users import ANNA, RITA, ROOT, TOKEN, write_users


@pytest_twisted.async_yield_fixture
async def guarded(make_guarded: Callable[..., Awaitable[Cluster]]) -> AsyncIterator[Cluster]:
    """A started cluster with the users of `write_users`."""
    yield await make_guarded("/public", "/anna", "/anna/secret", files=["/f", "/anna/secret/s"])


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
async def test_a_session_ends_with_the_token_that_began_it(guarded: Cluster) -> None:
    answer = await log_in(guarded, "nora", TOKEN)
    assert answer.code == 200
    cookie = (answer.header("Set-Cookie") or "").partition(";")[0]
    for name in ("nora", ""):
        me = await guarded.get("/.splitd/api/me", Cookie=cookie)
        assert json.loads(me.body)["name"] == name
        assert guarded.users is not None
        lines = guarded.users.read_text().splitlines(keepends=True)
        guarded.users.write_text("".join(line for line in lines if "tokens:" not in line))
        assert (await guarded.ask("POST", f"{guarded.admin_url}/reload", Authorization=ROOT)).code == 200


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
async def test_a_host_of_the_same_domain_logs_nobody_in_where_tls_is_used(guarded: Cluster) -> None:
    """It can plant cookies, but none whose name begins with __Host-."""
    tls, planted = {"X_Forwarded_Proto": "https"}, (await session_of(guarded, "rita"))["Cookie"]
    good = await log_in(guarded, "anna", "anna-pw", **tls)
    own, *attributes = (good.header("Set-Cookie") or "").split("; ")
    assert own.startswith("__Host-splitd_session=")
    assert {"Secure", "Path=/"} <= set(attributes)

    async def name(cookie: str) -> str:
        return str(json.loads((await guarded.get("/.splitd/api/me", Cookie=cookie, **tls)).body)["name"])

    assert [await name(cookie) for cookie in (planted, own, f"{planted}; {own}", f"{own}; {planted}")] == [
        "",
        *["anna"] * 3,
    ]
    # To a browser, these names do not begin with the prefix: any host may plant them.
    assert [await name(f"{space}__Host-{planted}") for space in ("\u2000", "\xa0", "\x85")] == [""] * 3
    csrf = json.loads(good.body)["csrf"]
    out = await guarded.ask("POST", "/.splitd/api/logout", Cookie=f"{planted}; {own}", X_Splitd_Csrf=csrf, **tls)
    assert (out.header("Set-Cookie") or "").startswith("__Host-splitd_session=; Path=/; Max-Age=0;")
    assert await name(own) == ""


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
