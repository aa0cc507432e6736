"""The ports that tests choose for their servers."""

from __future__ import annotations

import subprocess
import sys

from tests.ports import free_ports, share

OTHER = "from tests.ports import free_ports, share; print(share().start, free_ports([0, 1, 2]))"


def test_no_two_processes_choose_among_the_same_ports() -> None:
    assert free_ports([0, 24]) in share()
    told = subprocess.run([sys.executable, "-c", OTHER], capture_output=True, text=True, check=True).stdout
    start, port = map(int, told.split())
    assert start not in share()
    assert port not in share()
