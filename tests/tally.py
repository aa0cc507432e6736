"""What the tests that try much have tried, which the end of a run tells, and how much they are to try."""

from __future__ import annotations

import os
from collections import Counter

TALLY: Counter[str] = Counter()

MEASURED: list[str] = []
"""What was measured, a line each."""

EFFORT = int(os.environ.get("SPLITD_EFFORT", "1"))
"""How many times as much as usual they are to try."""
