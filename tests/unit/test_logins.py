"""Whose credentials a request has, and how those who guess are slowed; by a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from splitd.access.attempts import BY_ADDRESS, BY_USER, EVERY_S, MOST_REMEMBERED, Attempts
from splitd.access.credentials import parse_credentials
from splitd.access.entries import UsersEntries, read_users
from splitd.access.logins import REMEMBERED_S, Logins
from splitd.access.secrets import hash_token, proves_password
from splitd.errors import BadCredentials, TooManyLogins
from storaged.http import network_of
from storaged.system.clocks import WallClock
from tests.users import TOKEN, basic, bearer, hashed

DAY_S = 86_400.0


class Threads:
    """Counts the proofs, and may hold them."""

    def __init__(self) -> None:
        self.proofs = 0
        self.held: list[Deferred[None]] | None = None

    def run(self, call: Callable[[], Any]) -> Deferred[Any]:
        self.proofs += 1
        if self.held is None:
            return maybeDeferred(call)
        self.held.append(Deferred())
        return self.held[-1].addCallback(lambda _: call())


def users() -> UsersEntries:
    return read_users(
        "u.yaml",
        "users:\n"
        f"  anna:\n    password: {hashed('pw')}\n"
        f"    tokens: [{{id: t, hash: '{hash_token(TOKEN.encode())}', expires: 1970-01-03}}]\n"
        f"  bert: {{password: '{hashed('pw2')}'}}\n"
        "  tess: {}\n",
    )


def quickly(password: bytes, hashed: str | None) -> bool:
    """The proof without the tenth of a second that one takes for a user that does not exist."""
    return hashed is not None and proves_password(password, hashed)


class Desk:
    def __init__(self) -> None:
        self.clock, self.threads = Clock(), Threads()
        wall = WallClock(self.clock.seconds, self.clock.seconds)
        self.logins = Logins(users(), self.threads.run, self.clock.seconds, wall, quickly)

    async def login(self, header: str, address: str = "192.0.2.1") -> str:
        known = self.logins.known(header.encode("utf-8", "surrogateescape"))
        return (known.principal if known else await self.logins.prove(header, address)).name

    async def fails(self, header: str, address: str = "192.0.2.1") -> bool:
        """Return whether the credentials were looked at."""
        try:
            await self.login(header, address)
        except BadCredentials:
            return True
        except TooManyLogins:
            return False
        raise AssertionError("the login was good")


@pytest_twisted.ensureDeferred
async def test_a_password_is_proven_once_in_some_minutes() -> None:
    desk = Desk()
    for _ in range(10):
        assert await desk.login(basic("anna", "pw")) == "anna"
        desk.clock.advance(REMEMBERED_S - 1)
    assert desk.threads.proofs == 1
    desk.clock.advance(2)
    assert await desk.login(basic("anna", "pw")) == "anna"
    assert desk.threads.proofs == 2


@pytest_twisted.ensureDeferred
async def test_wrong_credentials_are_refused_alike() -> None:
    desk = Desk()
    said = set()
    for number, header in enumerate([basic("anna", "pw2"), basic("nobody", "pw"), basic("tess", "pw")]):
        with pytest.raises(BadCredentials) as caught:
            await desk.login(header, f"192.0.2.{number}")
        said.add(str(caught.value))
    assert len(said) == 1
    assert desk.threads.proofs == 3  # as much work for a user that does not exist, and for one without a password
    assert desk.logins.refused == 3


@pytest_twisted.ensureDeferred
async def test_a_token_is_good_alone_and_as_a_password_until_it_expires() -> None:
    desk = Desk()
    assert await desk.login(bearer()) == "anna"
    assert await desk.login(basic("anna", TOKEN)) == "anna"
    assert desk.threads.proofs == 0
    with pytest.raises(BadCredentials):
        await desk.login(basic("bert", TOKEN))
    with pytest.raises(BadCredentials):
        await desk.login(bearer(TOKEN[:-1] + "u"))
    desk.clock.advance(2 * DAY_S - 1)
    assert await desk.login(bearer()) == "anna"
    desk.clock.advance(2)  # less than it would be remembered
    with pytest.raises(BadCredentials, match="expired"):
        await desk.login(bearer())


@pytest_twisted.ensureDeferred
async def test_logins_that_come_together_are_proven_once() -> None:
    desk = Desk()
    desk.threads.held = []
    header = basic("anna", "pw")
    logins = [Deferred.fromCoroutine(desk.login(header)) for _ in range(20)]
    wrong = [Deferred.fromCoroutine(desk.fails(basic("anna", "no"))) for _ in range(5)]
    assert desk.threads.proofs == 2
    for each in desk.threads.held:
        each.callback(None)
    assert [await each for each in logins] == ["anna"] * 20
    assert [await each for each in wrong] == [True] * 5


@pytest_twisted.ensureDeferred
async def test_only_so_many_proofs_wait() -> None:
    desk = Desk()
    desk.threads.held = []
    logins = [Deferred.fromCoroutine(desk.fails(basic(f"user{n}", "guess"), f"192.0.2.{n}")) for n in range(32)]
    assert desk.threads.proofs == 32
    with pytest.raises(TooManyLogins):
        await desk.login(basic("bert", "pw2"), "198.51.100.1")
    assert desk.threads.proofs == 32
    for each in desk.threads.held:
        each.callback(None)
    for login in logins:
        await login


@pytest_twisted.ensureDeferred
async def test_guesses_from_one_address_are_slowed() -> None:
    desk = Desk()
    looked_at = [await desk.fails(basic(f"user{n}", "guess")) for n in range(BY_ADDRESS + 5)]
    assert looked_at == [True] * BY_ADDRESS + [False] * 5
    with pytest.raises(TooManyLogins) as caught:
        await desk.login(basic("anna", "pw"))
    assert caught.value.retry_after_s == EVERY_S
    assert await desk.login(basic("anna", "pw"), "192.0.2.2") == "anna"
    desk.clock.advance(EVERY_S)
    assert await desk.login(basic("bert", "pw2")) == "bert"  # a good one leaves room for the next
    assert await desk.fails(basic("anna", "guess"))
    assert not await desk.fails(basic("anna", "guess2"))


@pytest_twisted.ensureDeferred
async def test_guesses_for_one_user_are_slowed_wherever_they_come_from() -> None:
    desk = Desk()
    assert await desk.login(basic("anna", "pw"), "192.0.2.77") == "anna"
    desk.clock.advance(REMEMBERED_S + 1)
    looked_at = [await desk.fails(basic("anna", f"{n}"), f"198.51.100.{n}") for n in range(BY_USER + 3)]
    assert looked_at == [True] * BY_USER + [False] * 3
    assert await desk.login(basic("anna", "pw"), "192.0.2.77") == "anna"  # from where she logged in before
    assert await desk.login(basic("bert", "pw2"), "198.51.100.1") == "bert"


@pytest_twisted.ensureDeferred
async def test_the_same_wrong_password_is_one_guess() -> None:
    desk = Desk()
    assert [await desk.fails(basic("anna", "old")) for _ in range(3 * BY_USER)] == [True] * 3 * BY_USER
    assert desk.threads.proofs == 1
    assert await desk.login(basic("anna", "pw")) == "anna"


@pytest_twisted.ensureDeferred
async def test_a_login_that_is_remembered_is_not_slowed() -> None:
    desk = Desk()
    await desk.login(basic("anna", "pw"))
    for number in range(BY_ADDRESS + 1):
        await desk.fails(basic("anna", f"{number}"))
    assert await desk.login(basic("anna", "pw")) == "anna"


def test_attempts_count_in_all_processes_that_are_told_of_them() -> None:
    clock = Clock()
    there = Attempts(clock.seconds, ["anna"])
    here = Attempts(clock.seconds, ["anna"], there.note)
    for _ in range(BY_ADDRESS):
        assert here.begin("192.0.2.1", "anna") == 0
    assert there.begin("192.0.2.1", "anna") > 0
    here.called_off("192.0.2.1", "anna")
    assert there.begin("192.0.2.1", "anna") == 0
    for number in range(BY_USER):
        here.begin(f"192.0.2.{number + 2}", "anna")
    here.succeeded("192.0.2.99", "anna")
    assert there.begin("192.0.2.98", "anna") > 0
    assert there.begin("192.0.2.99", "anna") == 0  # where she is known


def test_the_tables_of_attempts_are_bounded() -> None:
    attempts = Attempts(Clock().seconds, ["anna"])
    for number in range(BY_USER):
        assert attempts.begin(f"192.0.2.{number}", "anna") == 0
    for number in range(MOST_REMEMBERED + 1000):
        address, user = f"2001:db8:{number:x}::1", f"user{number}"
        attempts.begin(address, user)
        attempts.succeeded(address, user)
    assert len(attempts) == 3 * MOST_REMEMBERED + 1
    assert attempts.begin("203.0.113.9", "anna") > 0  # no number of other names makes it forget a user's


def test_one_host_of_ipv6_is_its_network() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1")
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("fe80::1%eth0") == network_of("fe80::2%eth1")
    assert network_of("") == ""


@pytest.mark.parametrize(
    "header",
    [
        "", "Basic", "Basic ", "Basic !!!!", "Basic YW5uYQ==", "Basic OnB3", "Basic YW5uYTo=", "Basic YW5uYTpwAHc=",
        "Basic /////w==", "Basic \udcff\udcfe", "Bearer", "Bearer x", "Digest username=anna", "Negotiate abc",
        "Basic " + "QUFB" * 3000, "Bearer splitd_\udcff", "Basic YW5uYTpwd\u00e4==", "anna:pw", "\0",
    ],
)  # fmt: skip
def test_credentials_that_cannot_be_read_are_none(header: str) -> None:
    assert parse_credentials(header) is None


@given(st.text(max_size=200) | st.binary(max_size=80).map(lambda data: "Basic " + data.hex()))
def test_no_header_breaks_the_reader(header: str) -> None:
    parse_credentials(header)


def test_credentials_are_utf8() -> None:
    found = parse_credentials(basic("j\u00f6rg", "p\u00e4ss:word"))
    assert found is not None
    assert (found.user, found.secret.decode()) == ("j\u00f6rg", "p\u00e4ss:word")
    assert "ss" not in repr(found)
    found = parse_credentials(basic("anna", "pw").replace("Basic", "basic  "))
    assert found is not None


@pytest_twisted.ensureDeferred
async def test_what_a_connection_remembers_holds_for_the_same_credentials_and_the_same_users_only() -> None:
    desk, other = Desk(), Desk()
    anna, bert = basic("anna", "pw"), basic("bert", "pw2")
    for header in (anna, bert):
        await desk.login(header)
    first = desk.logins.known(anna.encode())
    assert first is not None
    assert desk.logins.known(anna.encode(), first) is first
    second = desk.logins.known(bert.encode(), first)
    assert second is not None
    assert (first.principal.name, second.principal.name) == ("anna", "bert")
    assert desk.logins.known(basic("anna", "other").encode(), first) is None
    assert other.logins.known(anna.encode(), first) is None
    desk.clock.advance(REMEMBERED_S)
    assert desk.logins.known(anna.encode(), first) is None
    await desk.login(anna)  # it was proven again, on another connection
    assert desk.logins.known(anna.encode(), first) is not None
    assert "pw" not in repr(first)
