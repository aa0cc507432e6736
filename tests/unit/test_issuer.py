"""When an issuer's keys are fetched, and what counts while it is away; by a clock that the test sets."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from splitd.access.entries import read_users
from splitd.access.logins import REMEMBERED_S, Logins
from splitd.access.oidc.issuer import FRESH_S, LAST_S, PAUSE_S, RETRY_S, Issuer
from splitd.errors import BadCredentials, LoginUnavailable
from storaged.http import NotFetched
from storaged.system.clocks import WallClock
from storaged.system.parallel import compute_at_once
from tests.fired import fired
from tests.issuer import ENTRY, KEY, KEYS_URL, OTHER, claims, discovery, key_set, signed


class Login:
    """The issuer's server, and what the front knows of it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.wall = WallClock(self.clock.seconds, self.clock.seconds)
        self.documents: dict[str, bytes] = {f"{ENTRY.issuer}/.well-known/openid-configuration": discovery()}
        self.publish(KEY)
        self.away = ""
        self.held: list[Deferred[None]] | None = None
        self.asked = 0
        self.issuer = Issuer(ENTRY, self.fetch, self.clock, self.wall)

    def publish(self, *keys: object) -> None:
        self.documents[KEYS_URL] = key_set(*keys)

    def fetch(self, url: str) -> Deferred[bytes]:
        self.asked += url == KEYS_URL
        if self.away:
            return fail(NotFetched(self.away))
        if self.held is None:
            return succeed(self.documents[url])
        self.held.append(Deferred())
        return self.held[-1].addCallback(lambda _: self.documents[url])

    def token(self, key: object = KEY, **more: object) -> str:
        return signed(claims(int(self.clock.seconds()), **more), key)

    def nameless(self, key: object) -> str:
        return signed(claims(int(self.clock.seconds())), key, kid=None)

    async def user(self, token: str) -> str:
        return (await self.issuer.identify(token)).user


@pytest_twisted.ensureDeferred
async def test_keys_are_fetched_once_and_again_when_they_are_old() -> None:
    login = Login()
    for _ in range(10):
        assert await login.user(login.token()) == "anna"
    assert login.asked == 1
    login.clock.advance(FRESH_S + 1)
    assert await login.user(login.token()) == "anna"
    assert login.asked == 2


@pytest_twisted.ensureDeferred
async def test_a_new_key_is_fetched_once_in_a_while_whatever_tokens_name() -> None:
    login = Login()
    await login.user(login.token())
    login.publish(KEY, OTHER)
    with pytest.raises(BadCredentials, match="none of the issuer's"):
        await login.user(login.token(OTHER))  # it was asked a moment ago
    assert login.asked == 1
    login.clock.advance(PAUSE_S)
    assert await login.user(login.token(OTHER)) == "anna"
    assert login.asked == 2
    login.publish(OTHER)
    login.clock.advance(FRESH_S + 1)
    login.held = []
    await login.user(login.token())  # which does not wait for the keys
    login.held[0].callback(None)
    login.held[1].callback(None)
    with pytest.raises(BadCredentials):
        await login.user(login.token())  # its key was withdrawn
    for number in range(100):
        with pytest.raises(BadCredentials):
            await login.user(signed(claims(0), KEY, kid=f"k{number}"))
    assert login.asked == 3


@pytest_twisted.ensureDeferred
async def test_a_token_that_names_no_key_may_be_of_a_new_one() -> None:
    login = Login()
    assert await login.user(login.nameless(KEY)) == "anna"
    login.publish(OTHER, KEY)
    login.clock.advance(PAUSE_S)
    assert await login.user(login.nameless(OTHER)) == "anna"
    assert await login.user(login.nameless(KEY)) == "anna"
    assert login.asked == 2


@pytest_twisted.ensureDeferred
async def test_known_keys_count_for_a_day_while_the_issuer_is_away() -> None:
    login = Login()
    await login.user(login.token())
    login.away = "https://login.example: the connection was refused"
    login.clock.advance(LAST_S - 1)
    assert await login.user(login.token()) == "anna"
    with pytest.raises(LoginUnavailable, match="refused") as caught:
        await login.user(login.token(OTHER))  # which may be new
    assert caught.value.retry_after_s == RETRY_S
    assert login.issuer.problem == login.away
    login.clock.advance(2)
    with pytest.raises(LoginUnavailable):
        await login.user(login.token())
    login.away = ""
    login.clock.advance(RETRY_S)
    assert await login.user(login.token()) == "anna"
    assert login.issuer.problem == ""


@pytest_twisted.ensureDeferred
async def test_an_issuer_that_never_answered_is_asked_again_soon() -> None:
    login = Login()
    login.away = "away"
    login.issuer.start()
    for _ in range(10):
        with pytest.raises(LoginUnavailable):
            await login.user(login.token())
    login.away = ""
    login.clock.advance(RETRY_S)
    assert await login.user(login.token()) == "anna"


@pytest_twisted.ensureDeferred
async def test_a_document_that_is_wrong_takes_no_key_away() -> None:
    login = Login()
    await login.user(login.token())
    login.documents[KEYS_URL] = b"<html>"
    login.clock.advance(FRESH_S + 1)
    await login.user(login.token())
    assert login.issuer.problem.startswith(f"{KEYS_URL}: it is not a JSON object")
    assert await login.user(login.token()) == "anna"


def test_tokens_that_come_together_wait_for_one_fetch() -> None:
    login = Login()
    login.held = []
    users = [Deferred.fromCoroutine(login.user(login.token())) for _ in range(20)]
    assert len(login.held) == 1
    login.held[0].callback(None)
    login.held[1].callback(None)
    assert [fired(user) for user in users] == ["anna"] * 20
    assert (len(login.held), login.asked) == (2, 1)


def test_a_stop_ends_the_fetch_in_progress() -> None:
    login = Login()
    login.held = []
    waiting = Deferred.fromCoroutine(login.user(login.token()))
    fired(login.issuer.stop())
    failures: list[object] = []
    waiting.addErrback(lambda failure: failures.append(failure.check(LoginUnavailable)))
    assert failures == [LoginUnavailable]
    login.issuer.start()
    assert len(login.held) == 1


USERS = """
users:
  anna: {groups: [readers], grants: [{path: /anna, allow: [read, write]}]}
groups:
  readers: {grants: [{path: /, allow: [read]}]}
  staff: {grants: [{path: /staff, allow: [read, write]}]}
"""


class Desk(Login):
    """The logins of users, some of whom come with tokens."""

    def __init__(self) -> None:
        super().__init__()
        entries = read_users("u.yaml", USERS)
        self.logins = Logins(entries, compute_at_once, self.clock.seconds, self.wall, issuer=self.issuer)

    def known(self, header: str) -> object:
        known = self.logins.known(header.encode())
        return known and known.principal

    async def principal(self, **more: object) -> object:
        return await self.logins.prove(f"Bearer {self.token(**more)}", "192.0.2.1")


@pytest_twisted.ensureDeferred
async def test_a_token_is_for_a_user_of_the_file_or_for_groups_of_it() -> None:
    desk = Desk()
    rights = {}
    for name, groups in [("anna", []), ("anna", ["staff"]), ("bert", ["staff", "other"]), ("bert", ["readers"])]:
        principal = await desk.logins.prove(f"Bearer {desk.token(email=name, groups=groups)}", "192.0.2.1")
        assert principal.name == name
        rights[name, *groups] = [
            "".join(sorted(right[0] for right in principal.grants.rights(path))) for path in ("/", "/anna", "/staff")
        ]
    assert rights == {
        ("anna",): ["r", "rw", "r"],
        ("anna", "staff"): ["r", "rw", "rw"],
        ("bert", "staff", "other"): ["", "", "rw"],
        ("bert", "readers"): ["r", "r", "r"],
    }
    for groups in ([], ["other"]):
        with pytest.raises(BadCredentials, match="its user is not known here"):
            await desk.principal(email="bert", groups=groups)
    assert desk.logins.refused == 2


@pytest_twisted.ensureDeferred
async def test_the_same_user_is_the_same_principal() -> None:
    desk = Desk()
    assert await desk.principal() is await desk.principal(nonce="2")
    first = await desk.principal(groups=["staff", "x"])
    assert first is await desk.principal(groups=["staff", "y"])
    assert first is not await desk.principal()


@pytest_twisted.ensureDeferred
async def test_a_token_is_remembered_until_it_ends_and_proven_again_after_some_minutes() -> None:
    desk = Desk()
    header = f"Bearer {desk.token(exp=100)}"
    assert desk.known(header) is None
    found = await desk.logins.prove(header, "192.0.2.1")
    assert desk.known(header) is found
    desk.clock.advance(129)
    assert desk.known(header) is found
    desk.clock.advance(1)
    assert desk.known(header) is None
    with pytest.raises(BadCredentials, match="has expired"):
        await desk.logins.prove(header, "192.0.2.1")
    lasting = f"Bearer {desk.token(exp=10_000)}"
    await desk.logins.prove(lasting, "192.0.2.1")
    desk.clock.advance(REMEMBERED_S - 1)
    assert desk.known(lasting)
    desk.clock.advance(2)
    assert desk.known(lasting) is None  # though it was used a moment ago


@pytest_twisted.ensureDeferred
async def test_expired_tokens_slow_nobody() -> None:
    desk = Desk()
    for number in range(50):
        with pytest.raises(BadCredentials):
            await desk.principal(exp=-100, nonce=number)
    assert await desk.principal()


@pytest_twisted.ensureDeferred
async def test_without_an_issuer_no_token_of_one_is_good() -> None:
    login = Login()
    logins = Logins(read_users("u.yaml", USERS), compute_at_once, login.clock.seconds, login.wall)
    with pytest.raises(BadCredentials, match="the token is wrong"):
        await logins.prove(f"Bearer {login.token()}", "192.0.2.1")
    assert login.asked == 0
