"""The memory of a process, as Linux tells it."""

from __future__ import annotations

from pathlib import Path


def forget_peak(pid: int) -> None:
    """Let the peak begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # proc(5)


def peak_memory(pid: int) -> int:
    """The most memory a process had at once since `forget_peak`, bytes.

    :raise OSError: the kernel does not tell.
    """
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/{pid}/status has no VmHWM")
