"""Observes processes from outside, and waits for their effects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")

_PATIENCE_S = 120.0
_LOOK_S = 0.05

_MIB = 2**20
FRONT_LIMIT = 160 * _MIB
"""An idle front takes 80 MiB; all transfers share 24 with nodes, 32 with clients, and 16 in the thread that sends."""
NODE_LIMIT = 100 * _MIB


def wait_until(look: Callable[[], _T], what: str, also: Callable[[], object] = lambda: None) -> _T:
    """Call a function again and again, until its result is true.

    :param what: the awaited event; the failure is "not seen: WHAT".
    :param also: returns more to say in the failure.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not seen in {_PATIENCE_S:.0f} s: {what} {also() or ''}"
        time.sleep(_LOOK_S)
    return seen


def wait_until_still(look: Callable[[], _T], what: str) -> _T:
    """Call a function until it gives the same result several times in a row; return that result."""
    seen: list[_T] = []

    def is_still() -> bool:
        seen.append(look())
        return len(seen) >= 10 and len(set(seen[-10:])) == 1

    wait_until(is_still, f"{what} stands still", lambda: seen[-1])
    return seen[-1]


def is_running(pid: int) -> bool:
    """Return whether a process lives; one that has ended and was not waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def forget_peaks(pids: Iterable[int]) -> None:
    """Reset the peaks of memory."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_memory(pid: int) -> int:
    """Return the most memory that a process had at once since `forget_peaks`, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no VmHWM")
