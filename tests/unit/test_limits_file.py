"""The text of limits.yaml: what it means, and that a wrong one is refused whole, with its line."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.access.limits_file import read_limits
from splitd.errors import LimitsInvalid
from splitd.model.limits import NO_LIMITS, AtOnce, QuotaEntry, WorkEntry

GOOD = """
requests: {in_all: 1000, per_client: 50}
uploads: {per_client: 4}
work: {at_once: 64, waiting: 32, wait_s: 0.5}
rates: {per_user: 10MiB, per_address: 500KB}
largest_file: 100GiB
quotas:
  - {path: /anna, bytes: 10GiB, files: 1000}
  - {path: /, files: 5}
"""

WRONG = [
    ("- x\n", "line 1: Expected `object`"),
    ("request: {in_all: 1}\n", "line 1: .*unknown field `request`"),
    ("requests: {in_all: 0}\n", "line 1: requests.in_all: Expected `int` >= 1"),
    ("\nrequests: {in_all: yes}\n", "line 2: requests.in_all: Expected `int"),
    ("work: {}\n", "line 1: work: .*missing required field `at_once`"),
    ("work: {at_once: 1, wait_s: 0}\n", "line 1: work.wait_s"),
    ("rates:\n  per_user: 10 apples\n", "line 2: rates.per_user: not a size: '10 apples'"),
    ("rates: {per_user: -5}\n", "line 1: rates.per_user: not a size"),
    ("rates:\n  per_user: 5MiB\n  per_address: 10\n", "line 3: rates.per_address: 10 bytes per second, at least 16384"),
    ("largest_file: 1.5\n", "line 1: largest_file: not a size"),
    ("quotas:\n- {path: a, bytes: 1}\n", "line 2: path 'a'"),
    ("quotas:\n- {path: /a}\n", "line 2: the quota of /a limits nothing"),
    ("quotas:\n- {path: /a, bytes: 1}\n- {path: /a, files: 1}\n", "line 3: /a has a quota already"),
    ("quotas: {path: /a}\n", "line 1: quotas: Expected `array`"),
    ("requests: &r {in_all: 1}\nuploads: *r\n", "line 1: aliases"),
    ("requests: {in_all: 1}\nrequests: {in_all: 2}\n", "line 2: requests stands there twice"),
    ("requests: !!python/object:os.system {}\n", "line 1: could not determine a constructor"),
    ("quotas: " + "[" * 5000 + "\n", "line 1: "),
    ("a: b: c\n", "line 1: "),
]


def test_a_good_file_says_what_it_says() -> None:
    limits = read_limits("l.yaml", GOOD)
    assert limits.requests == AtOnce(1000, 50)
    assert limits.uploads == AtOnce(None, 4)
    assert limits.work == WorkEntry(64, 32, 0.5)
    assert (limits.rates.per_user, limits.rates.per_address) == (10 * 2**20, 500_000)
    assert limits.largest_file == 100 * 2**30
    assert limits.quotas == (QuotaEntry("/anna", 10 * 2**30, 1000), QuotaEntry("/", None, 5))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "# nothing\n", "requests:\nquotas: []\n"])
def test_a_file_that_limits_nothing_is_one(text: str) -> None:
    if "requests" in text:
        with pytest.raises(LimitsInvalid, match="line 1: requests: Expected `object`"):
            read_limits("l.yaml", text)
    else:
        assert read_limits("l.yaml", text) == NO_LIMITS


@pytest.mark.parametrize(("text", "reason"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_file_is_refused_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(LimitsInvalid) as caught:
        read_limits("l.yaml", text)
    assert re.match(f"l.yaml: (?:{reason})", str(caught.value)), str(caught.value)


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    with suppress(LimitsInvalid):
        read_limits("l.yaml", text)
