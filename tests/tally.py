"""Counts the cases of the tests that try many, for the end of a run, and sets how many they try."""

from __future__ import annotations

import os
from collections import Counter

TALLY: Counter[str] = Counter()

MEASURED: list[str] = []
"""Measurements, one line each."""

EFFORT = int(os.environ.get("SPLITD_EFFORT", "1"))
"""The factor by which these tests try more cases than usual."""


def shared(count: int, *, odd: bool) -> range:
    """Return the numbers of the cases that one of two tests tries: the odd or even ones, or all with more effort."""
    return range(odd, count, 2 if EFFORT == 1 else 1)
