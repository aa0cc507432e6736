"""The names of a server: those of the connection, of the request, from a proxy, and from the settings."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.http.names import Authority, Call, OwnNames, parse_authority, parse_networks

LOCAL = ("127.0.0.1", 8080)
PROXIES = parse_networks(["127.0.0.0/8", "::1", "10.1.0.0/16"])
NAMES = OwnNames(proxies=PROXIES)
SET = OwnNames(frozenset([parse_authority("Files.Example"), parse_authority("files.example:8443")]), PROXIES)
STRANGER = "192.0.2.7"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("example.org", "example.org", 0),
        ("Example.ORG.:80", "example.org", 0),
        ("example.org:443", "example.org", 0),
        ("example.org:", "example.org", 0),
        ("user:word@example.org:8080", "example.org", 8080),
        ("[0:0::1]:8080", "::1", 8080),
        ("[fe80::1%eth0]", "fe80::1", 0),
        ("[::ffff:127.0.0.1]:81", "127.0.0.1", 81),
        ("under_score:1", "under_score", 1),
    ],
)
def test_an_authority_is_read(text: str, host: str, port: int) -> None:
    assert parse_authority(text) == Authority(host, port)


@pytest.mark.parametrize("text", ["a b", "a/b", "a:b", "a:80:80", "::1", "[::1", "a:999999", "a?b", "a,b"])
def test_what_is_no_authority_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="should be a name or an address"):
        parse_authority(text)


@given(st.text())
def test_any_text_is_an_authority_or_refused(text: str) -> None:
    try:
        parse_authority(text)
    except ValueError as problem:
        assert "should be" in str(problem)  # noqa: PT017


@pytest.mark.parametrize(
    ("call", "authority", "is_own"),
    [
        (Call("example:8080"), "example:8080", True),
        (Call("example:8080"), "EXAMPLE.:8080", True),
        (Call("example"), "example:443", True),
        (Call("example:443"), "example", True),
        (Call("example:8080"), "example:8081", False),
        (Call("example:8080"), "other:8080", False),
        (Call("example:8080"), "a/b", False),
        (Call(""), "example", True),
        (Call("example", local=LOCAL), "127.0.0.1:8080", True),
        (Call("example", local=("::1", 8080)), "[::1]:8080", True),
        (Call("example", local=("::ffff:10.0.0.1", 8080)), "10.0.0.1:8080", True),
        (Call("example", local=LOCAL), "127.0.0.1:8081", False),
        # Headers count if they come from a proxy, not if they come from others.
        (Call("front", ["files.example"], peer="127.0.0.1"), "files.example", True),
        (Call("front", ["files.example:1, inner"], peer="10.1.2.3"), "files.example:1", True),
        (Call("front", ["files.example"], peer="::ffff:10.1.2.3"), "files.example", True),
        (Call("front", ["files.example"]), "files.example", True),
        (Call("front", ["files.example"], peer=STRANGER), "files.example", False),
        (Call("front", (), ['for=1.2.3.4;host="files.example:1";proto=https'], peer="::1"), "files.example:1", True),
        (Call("front", (), ["for=1.2.3.4, For=x; Host=files.example"], peer="::1"), "files.example", True),
        (Call("front", (), ["for=1.2.3.4;host=files.example"], peer=STRANGER), "files.example", False),
        (Call("front", (), ['for="host=files.example"'], peer="::1"), "files.example", False),
        # a proxy that drops the port
        (Call("example", local=LOCAL, peer="127.0.0.1"), "example:8443", True),
        (Call("example", local=LOCAL, peer=STRANGER), "example:8443", False),
        (Call("example", local=("127.0.0.1", 80), peer="127.0.0.1"), "example:8443", False),
        (Call("example:8080", local=LOCAL, peer="127.0.0.1"), "example:8443", False),
        (Call("example", local=LOCAL, peer="127.0.0.1"), "other:8443", False),
    ],
)
def test_an_authority_is_the_servers_own_or_not(call: Call, authority: str, is_own: bool) -> None:
    assert NAMES.has(call, authority) is is_own


def test_names_that_were_set_are_own_with_their_ports() -> None:
    for authority, is_own in [
        ("files.example", True),
        ("FILES.example:443", True),
        ("files.example:8443", True),
        ("files.example:1", False),
    ]:
        assert SET.has(Call("127.0.0.1:8080", peer=STRANGER), authority) is is_own


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:8081", True),
        ("front.localhost", True),
        ("127.0.0.1:8081", True),
        ("127.9.9.9", True),
        ("[::1]:8081", True),
        ("10.0.0.5:8081", True),
        ("files.example:99", True),
        ("", True),
        ("evil.example:8081", False),
        ("localhost.evil.example", False),
        ("10.0.0.6:8081", False),
        ("evil.example:99999999", False),
    ],
)
def test_operators_call_by_names_that_no_stranger_can_have(host: str, allowed: bool) -> None:
    assert SET.allows_operators(Call(host, local=("10.0.0.5", 8081), peer="127.0.0.1")) is allowed
    assert not SET.allows_operators(Call(host, ["evil.example"], peer="127.0.0.1"))


def test_an_origin_is_compared_with_what_was_called_alone() -> None:
    call = Call("localhost:8081", local=LOCAL)
    assert SET.is_called(call, "localhost:8081")
    for other in ("localhost:8080", "files.example", "127.0.0.1:8080", "", "a b"):
        assert not SET.is_called(call, other)
        assert not SET.is_called(attrs.evolve(call, host=""), other)
