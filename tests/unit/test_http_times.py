"""Times in HTTP's headers, in each of their forms."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from splitd.frontends.http.times import parse_time


@pytest.fixture
def _in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_new_york")
@pytest.mark.parametrize(
    "value",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_they_are_read_in_utc_wherever_the_server_is(value: str) -> None:
    assert parse_time(value) == 784111777
