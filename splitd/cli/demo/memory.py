"""Measures the memory of a process, as Linux reports it."""

from __future__ import annotations

from pathlib import Path


def forget_peak(pid: int) -> None:
    """Reset the peak of a process."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # proc(5)


def peak_memory(pid: int) -> int:
    """Return the most memory that a process had at once since `forget_peak`, in bytes.

    :raise OSError: the kernel does not report it.
    """
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/{pid}/status has no VmHWM")
