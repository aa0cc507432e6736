"""Logging in to the console at an issuer of OpenID Connect, and what must not work."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest_twisted

from splitd.frontends.http.guard import COOKIE
from storaged.system.clocks import WallClock
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.signing_in import Browser, Issuer, write_sign_in
from tests.issuer import OTHER, signed, signed_by_the_public_key, unsigned
from tests.users import basic, bearer

ANNA = basic("anna", "anna-pw")


async def reload(front: Cluster) -> None:
    assert (await front.ask("POST", f"{front.admin_url}/reload", Authorization=ANNA)).code == 200


@pytest_twisted.async_yield_fixture
async def issuer() -> AsyncIterator[Issuer]:
    made = Issuer()
    made.start()
    yield made
    await made.stop()


@pytest_twisted.async_yield_fixture
async def front(issuer: Issuer, make_cluster: Callable[..., Cluster], tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster whose users log in at the issuer; bert is in the group staff."""
    issuer.claims["groups"] = ["staff", "else"]
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    write_sign_in(cluster.users, issuer)
    await cluster.start()
    assert (await cluster.ask("MKCOL", "/staff", Authorization=ANNA)).code == 201
    yield cluster


@pytest_twisted.ensureDeferred
async def test_one_logs_in_at_the_issuer_and_has_the_grants_of_ones_groups(front: Cluster, issuer: Issuer) -> None:
    browser = Browser(front)
    asks = await browser.get("/staff/")
    assert (asks.code, '"sign_in":{"name":"The Office","passwords":true}' in asks.text) == (401, True)
    url = await browser.begin("/staff/?x=1")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    back = f"{front.url('')}/.splitd/oidc/back"
    assert (asked["tenant"], asked["redirect_uri"], asked["code_challenge_method"]) == ("1", back, "S256")
    done = await browser.come_back(url, issuer.log_in(url))
    assert (done.code, done.header("Location")) == (303, "/staff/?x=1")
    assert list(browser.cookies) == [COOKIE]  # that of the login is gone
    assert all(word in browser.cookies[COOKIE] for word in ("HttpOnly", "SameSite=Lax", f"Max-Age={8 * 3600}"))
    me = await browser.me()
    assert (me["name"], me["session"], me["operator"]) == ("bert", True, False)
    assert (await browser.get("/staff/")).code == 200
    assert (await browser.ask("PUT", "/staff/f")).code == 403  # without the token of the session
    assert (await browser.ask("PUT", "/staff/f", X_Splitd_Csrf=me["csrf"])).code == 201
    assert (await browser.ask("PUT", "/f", X_Splitd_Csrf=me["csrf"])).code == 404
    out = await browser.ask("POST", "/.splitd/api/logout", X_Splitd_Csrf=me["csrf"])
    assert browser.cookies == {}
    assert f'"next":"{issuer.url}/logout?client_id=console' in out.text
    assert "id_token_hint=" in out.text
    assert (await browser.get("/staff/")).code == 401


@pytest_twisted.ensureDeferred
async def test_a_login_belongs_to_the_browser_that_began_it(front: Cluster, issuer: Issuer) -> None:
    attacker, victim = Browser(front), Browser(front)
    url = await attacker.begin()
    code = issuer.log_in(url)
    assert (await victim.come_back(url, code)).code == 403  # login CSRF
    await victim.begin()
    assert (await victim.come_back(url, code)).code == 403  # nor while one of their own is under way
    assert victim.cookies.keys() == {"splitd_login_0"}  # which goes on
    own = await victim.begin()
    victim.cookies["splitd_login_1"] = victim.cookies["splitd_login_0"]  # nor by the cookie of another login
    assert (await victim.come_back(own, issuer.log_in(own))).code == 403
    assert (await attacker.come_back(url, code)).code == 303


@pytest_twisted.ensureDeferred
async def test_a_login_begins_one_session_whatever_is_sent_again(front: Cluster, issuer: Issuer) -> None:
    browser = Browser(front)
    url = await browser.begin()
    kept, code = dict(browser.cookies), issuer.log_in(url)
    assert (await browser.come_back(url, code)).code == 303
    assert (await browser.come_back(url, code)).code == 403  # its cookie is gone
    browser.cookies = dict(kept)
    refused = await browser.come_back(url, code)
    assert (refused.code, "refuses the code: invalid_grant" in refused.text) == (403, True)
    browser.cookies = dict(kept)
    refused = await browser.come_back(url, issuer.log_in(url))  # with a new code for the same state
    assert (refused.code, "this login is over" in refused.text) == (403, True)
    assert (await browser.me())["name"] == ""
    await front.restart_front()
    browser.cookies = dict(kept)
    assert (await browser.come_back(url, issuer.log_in(url))).code == 403


@pytest_twisted.ensureDeferred
async def test_a_token_that_is_not_right_logs_nobody_in(front: Cluster, issuer: Issuer) -> None:
    now_s = WallClock().now_ms() // 1000
    wrong: list[tuple[dict[str, Any], Any, str]] = [
        ({"nonce": "another"}, None, "nonce"),
        ({"nonce": None}, None, "nonce"),
        ({"iss": "https://login.example/other"}, None, "iss"),
        ({"aud": "api"}, None, "aud"),
        ({"aud": ["console", "api"]}, None, "azp"),
        ({"azp": "api"}, None, "azp"),
        ({"exp": now_s - 60}, None, "expired"),
        ({"iat": now_s + 600}, None, "not good"),
        ({"iat": None}, None, "lacks iat"),
        ({"sub": None}, None, "lacks iat or sub"),
        ({"at_hash": "AAAA"}, None, "at_hash"),
        ({"email": None}, None, "email"),
        ({"email_verified": False}, None, "not verified"),
        ({"groups": ["else"]}, None, "no account here"),
        ({}, lambda said: signed(said, OTHER), "issuer's"),
        ({}, unsigned, "not believed"),
        ({}, signed_by_the_public_key, "not believed"),
        ({}, lambda said: signed(said)[:-4] + "AAAA", "signature"),
        ({}, lambda said: signed(said, typ="logout+jwt"), "kind"),
        ({}, lambda _: "nonsense", "cannot be read"),
    ]
    good = dict(issuer.claims)
    for claims, sign, reason in wrong:
        browser = Browser(front)
        issuer.claims, issuer.sign = {**good, **claims}, sign or signed
        refused = await browser.log_in(issuer)
        assert (refused.code, reason in refused.text) == (403, True), (reason, refused.text)
        assert COOKIE not in browser.cookies
    issuer.sign = signed
    for claims in ({"exp": now_s - 10}, {"iat": now_s + 10}, {"aud": ["console"]}, {"azp": "console"}):  # clocks differ
        issuer.claims = {**good, **claims}
        assert (await Browser(front).log_in(issuer)).code == 303


@pytest_twisted.ensureDeferred
async def test_an_answer_of_another_issuer_counts_for_nothing(front: Cluster, issuer: Issuer) -> None:
    browser = Browser(front)
    refused = await browser.log_in(issuer, iss="https:%2F%2Flogin.example/other")
    assert (refused.code, "another issuer" in refused.text) == (403, True)
    assert issuer.asked == []  # and its code is given to nobody
    assert (await browser.log_in(issuer, iss=quote(issuer.url, safe=""))).code == 303
    issuer.more = {"authorization_response_iss_parameter_supported": True}
    await front.restart_front()
    assert (await browser.log_in(issuer)).code == 403  # it always names itself


@pytest_twisted.ensureDeferred
async def test_after_a_login_the_browser_stays_on_this_server(front: Cluster, issuer: Issuer) -> None:
    for then in (
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/%09/evil.example",
        "/a%0d%0aSet-Cookie:x=y",
        "",
        "/.splitd/oidc/login",
        "/" + "a" * 5000,
    ):
        done = await Browser(front).log_in(issuer, then if "%" in then else quote(then, safe=""))
        assert (done.code, done.header("Location")) == (303, "/"), then
    done = await Browser(front).log_in(issuer, quote("/staff/%D0%B0 b/?q=//x", safe="/"))
    assert done.header("Location") == "/"  # a space is no part of a URL
    done = await Browser(front).log_in(issuer, quote("/staff/%D0%B0/?q=//x", safe=""))
    assert done.header("Location") == "/staff/%D0%B0/?q=//x"


@pytest_twisted.ensureDeferred
async def test_what_the_issuer_refuses_is_told_without_its_text(front: Cluster, issuer: Issuer) -> None:
    browser = Browser(front)
    url = await browser.begin()
    state = parse_qs(urlsplit(url).query)["state"][0]
    back = "/.splitd/oidc/back"
    refused = await browser.get(f"{back}?error=access_denied%3Cscript%3E&error_description=x&state={state}")
    assert (refused.code, "refuses the login: access_deniedscript" in refused.text) == (403, True)
    for query in ("", "?code=x", "?state=x&code=y", "?code=a&code=b&state=0", "?error=evil", f"?state={state}"):
        refused = await browser.get(back + query)
        assert (refused.code, "evil" in refused.text) == (403, False)
    assert (await browser.get(f"{back}?{'&'.join('a=b' for _ in range(50))}")).code == 400
    assert (await browser.ask("POST", "/.splitd/oidc/login")).code == 405
    assert (await browser.get("/.splitd/oidc/else")).code == 404


@pytest_twisted.ensureDeferred
async def test_a_session_ends_with_what_the_file_says_of_the_issuer(front: Cluster, issuer: Issuer) -> None:
    browser = Browser(front)
    assert (await browser.log_in(issuer)).code == 303
    assert front.users is not None
    known = front.users.read_text()
    for wrong in (
        known.replace("  staff: {", "  others: {"),
        known[: known.index("oidc:")],
        known[: known.index("  sign_in")],
        known.replace(issuer.url, "http://127.0.0.1:1"),
    ):
        front.users.write_text(wrong)
        await reload(front)
        assert (await browser.get("/staff/")).code == 401
    front.users.write_text(known)
    await reload(front)
    assert (await browser.get("/staff/")).code == 200


@pytest_twisted.ensureDeferred
async def test_claims_that_are_told_elsewhere_count_if_they_are_of_the_same_person(
    front: Cluster, issuer: Issuer
) -> None:
    issuer.claims = {"email": None, "groups": None}
    issuer.told = {"sub": "bert", "email": "berta", "groups": "staff"}
    await front.restart_front()
    browser = Browser(front)
    assert (await browser.log_in(issuer)).code == 303
    assert (await browser.me())["name"] == "berta"
    issuer.told_status = 503
    assert (await Browser(front).log_in(issuer)).code == 503  # nobody is without groups because it is away
    issuer.told_status = 200
    issuer.told["sub"] = "carl"
    refused = await Browser(front).log_in(issuer)
    assert (refused.code, "somebody else" in refused.text) == (403, True)


@pytest_twisted.ensureDeferred
async def test_behind_a_proxy_and_below_a_path_the_issuer_sends_the_browser_back_there(
    issuer: Issuer, make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    issuer.claims["groups"] = ["staff"]
    log = tmp_path / "access"
    cluster = make_cluster(base_path="/files", access_log=str(log))
    cluster.users = tmp_path / "users.yaml"
    write_sign_in(cluster.users, issuer, sign_in=", hours: 0.5, scopes: [openid]")
    await cluster.start()
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "files.example.org"}
    browser = Browser(cluster, "/files", headers=proxied)
    url = await browser.begin("/files/staff/")
    asked = parse_qs(urlsplit(url).query)
    assert asked["redirect_uri"] == ["https://files.example.org/files/.splitd/oidc/back"]
    assert asked["scope"] == ["openid"]
    assert "Secure" in browser.cookies["splitd_login_0"]
    assert "Path=/files/.splitd/oidc;" in browser.cookies["splitd_login_0"]
    done = await browser.come_back(url, issuer.log_in(url))
    assert (done.code, done.header("Location")) == (303, "/files/staff/")
    assert all(word in browser.cookies[COOKIE] for word in ("Secure", "Path=/files;", "Max-Age=1800"))
    await cluster.stop_front()
    assert "GET /files/.splitd/oidc/back?- " in log.read_text()
    assert "code-0" not in log.read_text()


@pytest_twisted.ensureDeferred
async def test_while_the_issuer_or_the_secret_is_away_the_page_says_so(front: Cluster, issuer: Issuer) -> None:
    browser = Browser(front)
    url = await browser.begin()
    code = issuer.log_in(url)
    assert front.users is not None
    secret = front.users.with_name("secret")
    known = secret.read_text()
    secret.write_text("\n")
    refused = await browser.come_back(url, code)
    assert (refused.code, "secret" in refused.text) == (503, True)
    status = await front.ask("GET", f"{front.admin_url}/status", Authorization=ANNA)
    assert "nobody can log in at the issuer" in status.text
    secret.write_text(known)
    assert (await browser.come_back(url, code)).code == 303  # the same login goes on
    await issuer.stop()
    url = await browser.begin()
    refused = await browser.come_back(url, "code")
    assert (refused.code, "cannot be reached" in refused.text) == (503, True)
    await front.restart_front()
    refused = await browser.get("/.splitd/oidc/login")
    assert (refused.code, "cannot be had now" in refused.text) == (503, True)


@pytest_twisted.ensureDeferred
async def test_a_browser_may_begin_many_logins(front: Cluster, issuer: Issuer) -> None:
    browser = Browser(front)
    urls = [await browser.begin() for _ in range(10)]
    assert len(browser.cookies) == 8
    assert (await browser.come_back(urls[5], issuer.log_in(urls[5]))).code == 303
    assert (await browser.come_back(urls[0], issuer.log_in(urls[0]))).code == 403  # its place was taken


async def make_link(browser: Browser, csrf: str, path: str = "/staff") -> Answer:
    body = json.dumps({"path": path}).encode()
    return await browser.ask("POST", "/.splitd/api/shares", body, X_Splitd_Csrf=csrf)


async def make_token(browser: Browser, csrf: str) -> Answer:
    return await browser.ask("POST", "/.splitd/api/keys", b'{"kind":"token"}', X_Splitd_Csrf=csrf)


@pytest_twisted.ensureDeferred
async def test_links_keys_and_tokens_have_what_the_issuer_said_last_of_their_maker(
    front: Cluster, issuer: Issuer
) -> None:
    assert (await front.put("/staff/f", b"content", Authorization=ANNA)).code == 201
    browser = Browser(front)
    await browser.log_in(issuer)
    csrf = (await browser.me())["csrf"]
    assert (await make_link(browser, csrf, "/")).code == 404
    url = json.loads((await make_link(browser, csrf)).body)["url"]
    made = await make_token(browser, csrf)
    token = bearer(json.loads(made.body)["secret"])

    async def found() -> tuple[int, int]:
        return (await front.get(f"{url}/f")).code, (await front.get("/staff/f", Authorization=token)).code

    assert await found() == (200, 200)
    await browser.ask("POST", "/.splitd/api/logout", X_Splitd_Csrf=csrf)
    assert await found() == (200, 200)
    issuer.claims["groups"] = ["else"]  # the issuer takes the group away: the next login tells
    assert await found() == (200, 200)
    assert (await browser.log_in(issuer)).code == 403
    assert await found() == (404, 401)
    issuer.claims["groups"] = ["staff"]
    assert (await browser.log_in(issuer)).code == 303
    assert await found() == (200, 200)
    assert front.users is not None
    known = front.users.read_text()
    front.users.write_text(known.replace("  staff: {", "  others: {"))  # the operator does: at once
    await reload(front)
    assert await found() == (404, 401)
    front.users.write_text(known.replace("oidc:\n", "oidc:\n  known_days: 0\n"))
    await reload(front)
    refused = await make_link(browser, (await browser.me())["csrf"])
    assert (refused.code, "lasts" in refused.text) == (403, True)


@pytest_twisted.ensureDeferred
async def test_one_who_gets_into_the_users_file_later_keeps_links_keys_and_tokens(
    front: Cluster, issuer: Issuer
) -> None:
    assert (await front.put("/staff/f", b"content", Authorization=ANNA)).code == 201
    browser = Browser(front)
    await browser.log_in(issuer)
    csrf = (await browser.me())["csrf"]
    url = json.loads((await make_link(browser, csrf)).body)["url"]
    token = bearer(json.loads((await make_token(browser, csrf)).body)["secret"])

    async def found() -> tuple[int, int]:
        return (await front.get(f"{url}/f")).code, (await front.get("/staff/f", Authorization=token)).code

    assert front.users is not None
    known = front.users.read_text()
    front.users.write_text(known.replace("users:\n", "users:\n  bert: {groups: [staff]}\n"))
    await reload(front)
    assert await found() == (200, 200)
    assert (await browser.log_in(issuer)).code == 303
    assert await found() == (200, 200)
    issuer.claims["groups"] = []  # the file alone says what they may do
    assert (await browser.log_in(issuer)).code == 303
    assert await found() == (200, 200)
    front.users.write_text(known)
    await reload(front)
    assert await found() == (404, 401)


@pytest_twisted.ensureDeferred
async def test_no_older_session_brings_back_what_the_issuer_has_taken_away(front: Cluster, issuer: Issuer) -> None:
    older, same = Browser(front), Browser(front)
    await older.log_in(issuer)
    csrf = (await older.me())["csrf"]
    token = bearer(json.loads((await make_token(older, csrf)).body)["secret"])
    await same.log_in(issuer)
    assert (await older.get("/staff/")).code == 200
    issuer.claims["groups"] = ["else"]
    assert (await Browser(front).log_in(issuer)).code == 403
    for browser in (older, same):
        assert (await browser.get("/staff/")).code == 401
    assert (await make_token(older, csrf)).code == 401
    assert (await front.get("/staff/", Authorization=token)).code == 401


@pytest_twisted.ensureDeferred
async def test_one_who_does_not_log_in_any_more_has_links_for_some_days(front: Cluster, issuer: Issuer) -> None:
    browser = Browser(front)
    await browser.log_in(issuer)
    await make_link(browser, (await browser.me())["csrf"])
    assert front.front is not None
    [identity] = await front.front.catalog.documents.page("identity", "bert", "", 10)
    days = (identity.expires_ms - WallClock().steady_ms()) / (24 * 3600 * 1000)
    assert 29 < days <= 30
