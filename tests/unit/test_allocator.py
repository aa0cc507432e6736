from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from storaged.system.allocator import trim_heap

PROGRAM = """
    from pathlib import Path

    from storaged.system.allocator import keep_large_buffers, trim_heap

    def resident_mib():
        [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) / 1024

    keep_large_buffers()
    before = resident_mib()
    # Small blocks that stay, between large ones that go, as with buffers and what is read out of them.
    blocks = [bytes([1]) * size for _ in range(200) for size in (256 * 1024, 1024)]
    small = blocks[1::2]
    del blocks
    burst = resident_mib()
    trim_heap()
    print(before, burst, resident_mib())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the daemons run on Linux; others do not say VmRSS")
def test_the_gaps_of_a_burst_go_back_to_the_kernel() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True, timeout=60, check=True
    )
    before, burst, after = map(float, ended.stdout.split())
    assert burst - before > 40  # 50 MiB of gaps stay by themselves
    assert after - before < 5


def test_trimming_may_be_done_at_any_time() -> None:
    trim_heap()
    trim_heap()
