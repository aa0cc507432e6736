"""The address of a client behind proxies: only trusted machines are believed."""

from __future__ import annotations

import pytest

from storaged.http.forwarded import client_behind
from storaged.http.names import OwnNames, parse_networks

TRUSTS = OwnNames(proxies=parse_networks(["127.0.0.0/8", "::1", "10.0.0.0/8"])).trusts


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "forwarded", "client"),
    [
        ("127.0.0.1", [], [], "127.0.0.1"),
        ("192.0.2.1", ["198.51.100.7"], ["for=198.51.100.7"], "192.0.2.1"),
        ("127.0.0.1", ["198.51.100.7"], [], "198.51.100.7"),
        ("127.0.0.1", ["203.0.113.9, 198.51.100.7"], [], "198.51.100.7"),
        ("127.0.0.1", ["203.0.113.9", "198.51.100.7, 10.1.2.3"], [], "198.51.100.7"),
        ("::ffff:127.0.0.1", ["2001:db8::1"], [], "2001:db8::1"),
        ("127.0.0.1", ["[2001:db8::1]:4711"], [], "2001:db8::1"),
        ("127.0.0.1", ["198.51.100.7:4711"], [], "198.51.100.7"),
        ("127.0.0.1", ["10.0.0.1, 10.0.0.2"], [], "10.0.0.1"),
        ("127.0.0.1", ["198.51.100.7, unknown"], [], "127.0.0.1"),
        ("127.0.0.1", [""], [], "127.0.0.1"),
        ("127.0.0.1", [], ['for="[2001:db8::1]:4711";host=x, for=10.0.0.1;proto=https'], "2001:db8::1"),
        ("127.0.0.1", [], ["for=_hidden"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.7"], ["for=203.0.113.9"], "198.51.100.7"),
        (None, ["198.51.100.7"], [], "198.51.100.7"),
        (None, [], [], ""),
    ],
)
def test_the_client_is_the_first_machine_that_is_no_trusted_proxy(
    peer: str | None, forwarded_for: list[str], forwarded: list[str], client: str
) -> None:
    assert client_behind(peer, forwarded_for, forwarded, TRUSTS) == client


def test_a_long_chain_is_not_followed_for_ever() -> None:
    assert client_behind("127.0.0.1", ["198.51.100.7", *["10.0.0.1"] * 64], [], TRUSTS) == "10.0.0.1"
