"""By which scheme and name a client sees the server: what trusted proxies say, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.http.origins import Origin, origin_of


def seen(
    host: str = "inner:8080",
    *,
    is_secure: bool = False,
    trusts: bool = True,
    proto: Sequence[str] = (),
    hosts: Sequence[str] = (),
    forwarded: Sequence[str] = (),
) -> tuple[str, str]:
    told = {"protocols": proto, "hosts": hosts, "forwarded": forwarded}
    origin = origin_of(host, is_secure=is_secure, trusts=trusts, **told)
    return origin.scheme, origin.authority


FORWARDED = ['for=192.0.2.1;host="files.example:8443";proto=https, for=10.0.0.1;host=b;proto=http']


def test_without_a_proxy_it_is_that_of_the_connection() -> None:
    assert seen() == ("http", "inner:8080")
    assert seen("Inner.:80", is_secure=True) == ("https", "inner")
    assert seen("[0:0::1]:81") == ("http", "[::1]:81")
    assert seen("") == ("http", "")


def test_a_trusted_proxy_says_what_the_client_has_called() -> None:
    assert seen(proto=["https"]) == ("https", "inner:8080")
    assert seen(proto=["HTTP"], is_secure=True) == ("http", "inner:8080")
    assert seen(hosts=["Files.Example"]) == ("http", "files.example")
    assert seen(proto=["https, http"], hosts=["files.example:443, b"]) == ("https", "files.example")
    assert seen(forwarded=FORWARDED) == ("https", "files.example:8443")
    assert seen(forwarded=[f"{FORWARDED[0]}", "host=c"]) == ("https", "files.example:8443")
    assert seen(proto=["http"], forwarded=FORWARDED) == ("http", "files.example:8443")
    assert seen(forwarded=['host="a,b;proto=http";proto="https"']) == ("https", "inner:8080")


def test_others_say_nothing() -> None:
    assert seen(trusts=False, proto=["https"], hosts=["evil"], forwarded=FORWARDED) == ("http", "inner:8080")
    assert seen(trusts=False, is_secure=True, proto=["http"]) == ("https", "inner:8080")


@pytest.mark.parametrize("bad", ["javascript", "https://x", "", "ftp", "http s"])
def test_a_scheme_that_is_none_of_http_is_ignored(bad: str) -> None:
    assert seen(proto=[bad], forwarded=[f"proto={bad}"]) == ("http", "inner:8080")


@pytest.mark.parametrize(
    "bad", ["a b", "a/b", "a?b", "a#b", "<a>", 'a"b', "a:99999999", "\u00e4.example", "a\\b", "'", "a&b", "$h"]
)
def test_a_host_that_is_none_is_ignored(bad: str) -> None:
    assert seen(hosts=[bad]) == ("http", "inner:8080")
    assert seen(bad)[1] == ""


def test_the_host_alone_has_no_port() -> None:
    assert Origin("https", "files.example:8443").host == "files.example"
    assert Origin("https", "[::1]:8443").host == "[::1]"
    assert Origin("https", "").host == ""


@given(st.text(), st.booleans(), st.booleans(), *[st.lists(st.text() | st.sampled_from(FORWARDED)) for _ in range(3)])
def test_it_always_makes_a_url(
    host: str, is_secure: bool, trusts: bool, proto: list[str], hosts: list[str], forwarded: list[str]
) -> None:
    scheme, authority = seen(host, is_secure=is_secure, trusts=trusts, proto=proto, hosts=hosts, forwarded=forwarded)
    assert scheme in {"http", "https"}
    assert authority.isascii()
    assert not set(authority) & set(" \r\n\t<>\"'/?#@\\")
