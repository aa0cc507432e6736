"""Counts what the crash tests have tried."""

from __future__ import annotations

from collections import Counter

TALLY: Counter[str] = Counter()
