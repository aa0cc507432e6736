"""litmus: the standard test suite for WebDAV servers."""

from __future__ import annotations

import re
from pathlib import Path

from tests.clients.programs import run
from tests.tally import TALLY

SUITES = {"basic": 16, "copymove": 13, "props": 30, "locks": 41, "http": 4}
"""The number of tests in each suite of litmus 0.13."""

SUMMARY = re.compile(r"<- summary for `(\w+)': of (\d+) tests run: (\d+) passed, (\d+) failed")


def test_litmus_passes_without_a_warning(place: str, tmp_path: Path) -> None:
    done = run("litmus", "-k", f"{place}/", folder=tmp_path)
    told = {suite: (int(ran), int(passed)) for suite, ran, passed, _ in SUMMARY.findall(done.said)}
    for suite, (ran, passed) in told.items():
        TALLY[f"tests of litmus passed: {suite}, of {ran}"] += passed
    assert told == {suite: (count, count) for suite, count in SUITES.items()}, done.said
    assert "warning" not in done.said.lower(), done.said
    assert "skip" not in done.said.lower(), done.said
    assert done.code == 0, done.said
