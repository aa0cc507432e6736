"""Keys and tokens that people make for themselves: what they are good for, and how they end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.access.own import MOST
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.s3 import S3, code_of
from tests.cluster.test_fronts import Fronts
from tests.postgres import postgres
from tests.users import ANNA, RITA, ROOT, TOKEN, basic, bearer, write_users

API, SHARES = "/.splitd/api/keys", "/.splitd/api/shares"


@pytest_twisted.async_yield_fixture
async def guarded(make_guarded: Callable[..., Awaitable[Cluster]]) -> AsyncIterator[Cluster]:
    """A started cluster with the users of `write_users`, and files in /anna."""
    yield await make_guarded("/anna", "/anna/d", "/anna/secret", files=["/anna/f", "/anna/d/x", "/anna/secret/s", "/f"])


async def ask_to_make(cluster: Cluster, caller: str = ANNA, **wanted: Any) -> Answer:
    body = json.dumps({"kind": "token", **wanted}).encode()
    return await cluster.ask("POST", API, body, Authorization=caller)


async def make(cluster: Cluster, caller: str = ANNA, **wanted: Any) -> Any:
    answer = await ask_to_make(cluster, caller, **wanted)
    assert answer.code == 201, answer.text
    return json.loads(answer.body)


async def listed(cluster: Cluster, caller: str = ANNA, query: str = "") -> list[Any]:
    answer = await cluster.get(API + query, Authorization=caller)
    assert answer.code == 200, answer.text
    return list(json.loads(answer.body)["keys"])


async def take_back(cluster: Cluster, name: str, caller: str = ANNA) -> int:
    return (await cluster.ask("DELETE", f"{API}/{name}", Authorization=caller)).code


async def reload(cluster: Cluster) -> None:
    assert (await cluster.ask("POST", f"{cluster.admin_url}/reload", Authorization=ROOT)).code == 200


@pytest_twisted.ensureDeferred
async def test_a_token_does_what_its_user_may_until_it_is_taken_back(guarded: Cluster) -> None:
    made = await make(guarded, label="laptop", days=1)
    assert made["secret"].startswith("splitd_own_")
    for login in (bearer(made["secret"]), basic("anna", made["secret"])):
        assert (await guarded.get("/anna/f", Authorization=login)).body == b"content"
        assert (await guarded.put("/anna/new", b"x", Authorization=login)).code in {201, 204}
        assert (await guarded.get("/anna/secret/s", Authorization=login)).code == 404
    assert (await guarded.get("/anna/f", Authorization=basic("rita", made["secret"]))).code == 401
    assert (await guarded.get("/anna/f", Authorization=bearer(made["secret"] + "x"))).code == 401
    [shown] = await listed(guarded)
    assert (shown["id"], shown["label"], shown["kind"]) == (made["id"], "laptop", "token")
    # The two are read one after the other, from clocks of which only one may be set.
    assert round((shown["ends_ms"] - shown["made_ms"]) / 3_600_000, 1) == 24
    assert shown["used_ms"] >= shown["made_ms"]
    assert "secret" not in shown
    assert await listed(guarded, RITA) == []
    assert await take_back(guarded, made["id"], RITA) == 404
    assert await take_back(guarded, made["id"]) == 204
    assert (await guarded.get("/anna/f", Authorization=bearer(made["secret"]))).code == 401
    assert await take_back(guarded, made["id"]) == 404
    assert await listed(guarded) == []


@pytest_twisted.ensureDeferred
async def test_a_key_signs_requests_of_s3_until_it_is_taken_back(guarded: Cluster) -> None:
    made = await make(guarded, kind="key")
    anna = S3(guarded, (made["id"], made["secret"]))
    assert (await anna.get("/anna/f")).body == b"content"
    assert (await anna.put("/anna/by-key", b"x")).code == 200
    assert (await guarded.ask("GET", anna.presigned("GET", "/anna/f"))).code == 200
    assert (await anna.get("/anna/secret/s")).code == 404
    assert code_of(await S3(guarded, (made["id"], "another")).get("/anna/f"))[1] == "SignatureDoesNotMatch"
    await guarded.restart_front()
    url = anna.presigned("GET", "/anna/f")
    assert (await anna.get("/anna/f")).code == 200  # it survives a restart
    assert await take_back(guarded, made["id"]) == 204
    assert code_of(await anna.get("/anna/f"))[1] == "InvalidAccessKeyId"
    assert (await guarded.ask("GET", url)).code == 403
    assert code_of(await S3(guarded, ("SPLOWN" + "A" * 16, "x")).get("/anna/f"))[1] == "InvalidAccessKeyId"


@pytest_twisted.ensureDeferred
async def test_a_narrow_one_does_less_than_its_user(guarded: Cluster) -> None:
    reader = bearer((await make(guarded, allow=["read"]))["secret"])
    assert (await guarded.get("/anna/f", Authorization=reader)).code == 200
    assert (await guarded.put("/anna/f", b"y", Authorization=reader)).code == 403
    assert (await guarded.ask("DELETE", "/anna/f", Authorization=reader)).code == 403
    inner = bearer((await make(guarded, path="/anna/d"))["secret"])
    assert (await guarded.get("/anna/d/x", Authorization=inner)).code == 200
    assert (await guarded.put("/anna/d/y", b"y", Authorization=inner)).code == 201
    for path in ("/anna/f", "/f", "/", "/anna/secret/s"):
        assert (await guarded.get(path, Authorization=inner)).code == 404
    assert (await guarded.put("/anna/g", b"y", Authorization=inner)).code == 404
    wide = bearer((await make(guarded, path="/", allow=["read", "write", "admin"]))["secret"])
    assert (await guarded.put("/f", b"y", Authorization=wide)).code == 403  # it never does more
    assert (await guarded.get(f"{guarded.admin_url}/status", Authorization=wide)).code == 403
    operator = await make(guarded, ROOT, allow=["read"])
    assert (await guarded.get(f"{guarded.admin_url}/status", Authorization=bearer(operator["secret"]))).code == 403
    operator = await make(guarded, ROOT, allow=["admin"])
    assert (await guarded.get(f"{guarded.admin_url}/status", Authorization=bearer(operator["secret"]))).code == 200
    assert (await guarded.get("/f", Authorization=bearer(operator["secret"]))).code == 404


@pytest_twisted.ensureDeferred
async def test_a_token_makes_no_others_and_no_links(guarded: Cluster) -> None:
    made = await make(guarded, allow=["read"], path="/anna/d")
    narrow = bearer(made["secret"])
    assert (await ask_to_make(guarded, narrow)).code == 403
    assert (await guarded.get(API, Authorization=narrow)).code == 403
    assert await take_back(guarded, made["id"], narrow) == 403
    share = json.dumps({"path": "/anna/d"}).encode()
    assert (await guarded.ask("POST", "/.splitd/api/shares", share, Authorization=narrow)).code == 403
    assert (await ask_to_make(guarded, bearer(TOKEN))).code == 201  # one of the users' file is as good as its user


@pytest_twisted.ensureDeferred
async def test_a_token_begins_no_session_that_may_do_more_and_ends_none(guarded: Cluster) -> None:
    made = await make(guarded, allow=["read"], path="/anna/d")
    body = json.dumps({"name": "anna", "password": made["secret"]}).encode()
    answer = await guarded.ask("POST", "/.splitd/api/login", body, Content_Type="application/json")
    assert (answer.code, answer.header("Set-Cookie")) == (403, None)
    everywhere = await guarded.ask("POST", "/.splitd/api/logout-everywhere", Authorization=bearer(made["secret"]))
    assert everywhere.code == 403


@pytest_twisted.ensureDeferred
async def test_with_its_user_it_ends_at_once(guarded: Cluster) -> None:
    token, key = await make(guarded), await make(guarded, kind="key")
    login, anna = bearer(token["secret"]), S3(guarded, (key["id"], key["secret"]))
    assert guarded.users is not None
    text = guarded.users.read_text()
    lines = text.splitlines()
    begin = lines.index("  anna:")
    guarded.users.write_text("\n".join(lines[:begin] + lines[begin + 3 :]) + "\n")
    assert (await guarded.get("/anna/f", Authorization=login)).code == 200
    await reload(guarded)
    assert (await guarded.get("/anna/f", Authorization=login)).code == 401
    assert (await anna.get("/anna/f")).code == 403
    assert {each["owner"] for each in await listed(guarded, ROOT, "?all=1")} == {"anna"}
    assert await take_back(guarded, token["id"], ROOT) == 204  # an operator cleans up
    guarded.users.write_text(text.replace("{path: /, allow: [read]}, {path: /anna, allow: [read, write]}, ", ""))
    await reload(guarded)
    assert (await anna.get("/anna/f")).code == 404  # whoever comes back has the grants of then


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_made_is_refused_in_words(guarded: Cluster) -> None:
    for wrong in (
        {"kind": "else"},
        {"days": 0},
        {"days": 10**9},
        {"allow": []},
        {"allow": ["all"]},
        {"label": "x" * 101},
        {"label": "a\nb"},
        {"path": "anna"},
        {"path": "/a//b"},
        {"more": 1},
    ):
        refused = await ask_to_make(guarded, **wrong)
        assert (refused.code, len(json.loads(refused.body)["error"]) > 10) == (400, True), wrong
    assert (await guarded.ask("POST", API, b"{", Authorization=ANNA)).code == 400
    assert (await guarded.get(API)).code == 401
    assert (await guarded.ask("PUT", API, b"", Authorization=ANNA)).code == 405
    assert (await guarded.get(f"{API}?all=1", Authorization=ANNA)).code == 403
    for api in (API, SHARES):
        for method in ("GET", "DELETE"):
            assert (await guarded.ask(method, f"{api}ring", Authorization=ANNA)).code == 404
        assert (await guarded.get(f"{api}?after=%ff", Authorization=ANNA)).code == 400
    for _ in range(MOST):
        await make(guarded)
    refused = await ask_to_make(guarded)
    assert (refused.code, "100" in refused.text) == (507, True)
    await make(guarded, kind="key")
    assert len(await listed(guarded)) == MOST + 1
    page = await guarded.get(f"{API}?all=1&after=own-token/", Authorization=ROOT)
    assert len(json.loads(page.body)["keys"]) == MOST


@pytest_twisted.ensureDeferred
async def test_without_users_there_are_none(cluster: Cluster) -> None:
    assert (await cluster.get(API)).code == 404


@pytest_twisted.ensureDeferred
async def test_every_front_knows_at_once_what_was_taken_back(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = make_cluster(catalog=postgres().url(postgres().new_schema()))
    cluster.users = tmp_path / "users.yaml"
    write_users(cluster.users)
    fronts = Fronts(cluster)
    await fronts.start()
    try:
        made = await make(cluster)
        login = bearer(made["secret"])
        for number in (0, 1, 1):
            assert (await fronts.ask(number, "GET", "/", Authorization=login)).code == 200
        cookie, csrf = await log_in(fronts)
        assert await me(fronts, 0, cookie) == await me(fronts, 1, cookie) == "anna"
        assert await take_back(cluster, made["id"]) == 204
        assert (await fronts.ask(1, "GET", "/", Authorization=login)).code == 401
        everywhere = await fronts.ask(0, "POST", "/.splitd/api/logout-everywhere", Cookie=cookie, X_Splitd_Csrf=csrf)
        assert json.loads(everywhere.body) == {"ended": 1}
        assert await me(fronts, 1, cookie) == ""
    finally:
        await Deferred.fromCoroutine(fronts.stop())


async def log_in(fronts: Fronts) -> tuple[str, str]:
    body = json.dumps({"name": "anna", "password": "anna-pw"}).encode()
    url = f"{fronts.urls[0]}/.splitd/api/login"
    answer = await fronts.cluster.ask("POST", url, body, Content_Type="application/json")
    assert answer.code == 200, answer.text
    return (answer.header("Set-Cookie") or "").partition(";")[0], json.loads(answer.body)["csrf"]


async def me(fronts: Fronts, number: int, cookie: str) -> str:
    return str(json.loads((await fronts.ask(number, "GET", "/.splitd/api/me", Cookie=cookie)).body)["name"])


@pytest_twisted.ensureDeferred
async def test_pages_of_other_sites_make_and_take_back_no_keys_and_links(guarded: Cluster) -> None:
    made = await make(guarded)
    link = await guarded.ask("POST", SHARES, b'{"path":"/anna"}', Authorization=ANNA)
    assert link.code == 201
    changes = (
        ("POST", API, b'{"kind":"token"}'),
        ("DELETE", f"{API}/{made['id']}", None),
        ("POST", SHARES, b'{"path":"/anna"}'),
        ("DELETE", f"{SHARES}/{json.loads(link.body)['id']}", None),
    )
    for foreign in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
        for method, path, body in changes:
            refused = await guarded.ask(method, path, body, Authorization=ANNA, **foreign)
            assert (refused.code, "another site" in refused.text) == (403, True), (method, path, refused.text)
    own = {"Origin": guarded.url(""), "Sec_Fetch_Site": "same-origin"}
    assert [(await guarded.ask(*change, Authorization=ANNA, **own)).code for change in changes] == [201, 204] * 2


@pytest_twisted.ensureDeferred
async def test_pages_of_other_sites_take_back_no_links_of_a_store_without_users(cluster: Cluster) -> None:
    await cluster.put("/f", b"content")
    link = json.loads((await cluster.ask("POST", SHARES, b'{"path":"/f"}')).body)
    place = f"{SHARES}/{link['id']}"
    assert (await cluster.ask("DELETE", place, Origin="https://evil.example")).code == 403
    assert (await cluster.ask("DELETE", place)).code == 204
