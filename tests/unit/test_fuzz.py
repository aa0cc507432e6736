"""No bytes break a parser: it reads them, or refuses them as it promises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import PARSERS
from tests.tally import EFFORT

_NOISE = st.binary(max_size=200)
_BITS = st.sampled_from([b"\0", b"\xff", b"\x1f", b"\r\n", b'"', b"%", b"<", b"&", b"\xed\xa0\x80", b"9" * 30, b"/"])


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """A seed of which a piece is removed, repeated or replaced, some times."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 8)))
        data = data[:start] + draw(st.one_of(_NOISE, _BITS, st.just(data[start:stop] * 3))) + data[stop:]
    return data


@pytest.mark.parametrize("name", list(PARSERS))
def test_no_bytes_break_it(name: str) -> None:
    parser = PARSERS[name]

    @settings(max_examples=100 * EFFORT)
    @given(st.one_of(_NOISE, mutated(parser.seeds)))
    def breaks_not(data: bytes) -> None:
        parser(data)

    breaks_not()
    for seed in parser.seeds:
        parser(seed)
