"""The URLs of nodes: valid ones are read, all others are refused with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.nodes import RegistryInvalid, parse_entries
from storaged.system.origin import Origin, parse_origin


@pytest.mark.parametrize(
    ("text", "origin", "authority"),
    [
        ("http://[::1]:8090", Origin("http", "::1", 8090), "[::1]:8090"),
        ("http://[FE80::1%eth0]:8090/", Origin("http", "fe80::1%eth0", 8090), "[fe80::1]:8090"),
        ("http://[fe80::1%25eth0]:8090", Origin("http", "fe80::1%eth0", 8090), "[fe80::1]:8090"),
        ("http://[fe80::1%2]:8090", Origin("http", "fe80::1%2", 8090), "[fe80::1]:8090"),
        ("http://store_1:8090", Origin("http", "store_1", 8090), "store_1:8090"),
        ("http://_a_.b:8090", Origin("http", "_a_.b", 8090), "_a_.b:8090"),
        ("https://n1.example.org.:443", Origin("https", "n1.example.org.", 443), "n1.example.org.:443"),
        ("http://10.0.0.7:80", Origin("http", "10.0.0.7", 80), "10.0.0.7:80"),
    ],
)
def test_what_can_be_reached_is_read(text: str, origin: Origin, authority: str) -> None:
    assert parse_origin(text) == origin
    assert origin.authority == authority
    assert parse_origin(origin.url) == origin


@pytest.mark.parametrize(
    "text",
    [
        "https://store_1:8090",
        "https://[fe80::1%eth0]:8090",
        "http://[::1%]:8090",
        "http://[::1",
        "http://::1:8090",
        "http://[v1.x]:80",
        "http://-a:80",
        "http://a-:80",
        "http://a..b:80",
        "http://.:80",
        "http://" + "a" * 64 + ":80",
        "http://" + "a." * 127 + "a:80",
        "http://10.1:80",
        "http://256.1.1.1:80",
        "http://1:80",
        "http://a b:80",
        "http://a%20b:80",
        "http://*:80",
        "http://ä:80",
        "http://a:0",
        "http://a:65536",
        "http://a",
        "http://user@a:80",
        "http://@a:80",
        "http://a:80/path",
        "ftp://a:80",
        "",
    ],
)
def test_what_cannot_be_reached_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(RegistryInvalid, match=r"\Aline 7: url "):
        parse_entries([(7, {"id": "n1", "url": text})])


@given(st.text(alphabet="ahtp:/[]%._-1250 @?#é", max_size=40))
def test_any_text_is_read_or_refused(rest: str) -> None:
    try:
        origin = parse_origin("http://" + rest)
    except ValueError:
        return
    assert parse_origin(origin.url) == origin
