"""Counts what the tests that try much have tried; the end of a run tells it."""

from __future__ import annotations

from collections import Counter

TALLY: Counter[str] = Counter()
