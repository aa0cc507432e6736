from __future__ import annotations

import pytest

from tests.crash.tally import TALLY


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was tried."""
    if TALLY:
        terminalreporter.section("what was tried")
        for what, count in sorted(TALLY.items()):
            terminalreporter.write_line(f"{count:>10,}  {what}")
