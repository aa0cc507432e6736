"""Headers of many times the size that a request may have: the work of reading each grows with its size and no faster.

With work that grows with the square of the size, each of these would take hours.
"""

from __future__ import annotations

import pytest

from splitd.frontends.http.times import parse_time
from splitd.frontends.webdav.lock import parse_timeout
from splitd.model.conditions import parse_entity_tags, parse_none_match
from splitd.model.digests import parse_digests
from splitd.model.if_header import IfHeader, Standing, parse_if
from storaged.http import OwnNames, Parameters, parse_networks
from storaged.http.names import Call
from storaged.http.targets import encode_target
from storaged.system.ranges import parse_ranges

SIZE = 1_000_000
RUN = " " * SIZE


def read_if(value: str) -> IfHeader:
    return parse_if(value, "/asked", lambda uri: uri)


@pytest.mark.parametrize("value", [f'"a",{RUN}x', f"{RUN}x", f'"a"{RUN}"b"', '"' + "a" * SIZE, '"a",' * SIZE + "x"])
def test_entity_tags(value: str) -> None:
    with pytest.raises(ValueError, match="entity tags"):
        parse_entity_tags(value)


def test_entity_tags_that_match_nothing() -> None:
    assert parse_none_match(f'{RUN}x,{RUN}y, "a"{RUN},"b"x') == ('"a"',)
    assert parse_none_match('"' + "a," * SIZE) == ()
    assert parse_none_match('"a,' * (SIZE // 10)) == ()


@pytest.mark.parametrize(
    "value", [f'a={RUN}"', f'a={RUN}x{RUN}"', f"a{RUN}x", "a" * SIZE + "!", f'a=:{"A" * SIZE}"', f"a;{RUN}\x00" + ",!"]
)
def test_digests(value: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        parse_digests(value)


@pytest.mark.parametrize(
    "value",
    [
        f"({RUN}",
        RUN,
        "<" + "a" * SIZE,
        '(["' + "a" * SIZE,
        "(" * SIZE,
        "(Not" + RUN + "x",
        f"(<a>){RUN}x",
        "<a>" * SIZE,
    ],
)
def test_if_that_cannot_be_read(value: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        read_if(value)


def test_each_path_in_if_is_looked_up_once() -> None:
    count = SIZE // 20
    looked: list[str] = []

    def standing_of(path: str) -> Standing:
        looked.append(path)
        return Standing(None, frozenset())

    assert not read_if("(<urn:x>)" * count).holds(standing_of)
    assert looked == ["/asked"]
    looked.clear()
    assert not read_if("</a> (<urn:x>) </b> (<urn:x>)" * count).holds(standing_of)
    assert looked == ["/a", "/b"]


@pytest.mark.parametrize(
    "call",
    [
        Call("front", ["a," * SIZE]),
        Call("front", ["a"] * SIZE),
        Call("front", (), ["host=a;" * SIZE]),
        Call("front", (), [";" + RUN + ";host" + RUN + "x"]),
        Call("front", (), [',host="' * (SIZE // 7)]),
        Call("front", (), [',host="' + "\\," * SIZE]),
    ],
)
def test_names_from_a_proxy(call: Call) -> None:
    called = OwnNames(proxies=parse_networks(["127.0.0.1"])).called(call).called
    assert 1 <= len(called) <= 65
    assert called[0].host == "front"


def test_ranges() -> None:
    assert parse_ranges("bytes=" + "0-0," * SIZE, 10, 32) is None
    assert parse_ranges("bytes=" + RUN + "x", 10, 32) is None
    assert parse_ranges("bytes=" + "9" * SIZE + "-", 10, 32) is None


def test_times_and_timeouts() -> None:
    assert parse_time("Mon, " * SIZE) is None
    assert parse_time("9" * SIZE) is None
    assert parse_timeout("Second-," * SIZE + "Second-9") == 9
    assert parse_timeout("Second-" + "9" * SIZE) == 3600


def test_targets() -> None:
    assert encode_target("/é".encode() * SIZE) == b"/%C3%A9" * SIZE
    assert Parameters(b"a&" * SIZE + b"after=b").values("after") == ["b"]
