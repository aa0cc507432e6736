"""What the daemons of a cluster cost, read from /proc."""

from __future__ import annotations

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Daemons:
    """The processes of a cluster.

    :param pids: process ids by the daemons' names, the front's first.
    """

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids

    def forget_peaks(self) -> None:
        """Begin to measure peak memory anew."""
        for pid in self._pids.values():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def cpu_s(self) -> dict[str, float]:
        """Seconds of CPU that each has used, user and system."""
        return {name: self._cpu_s(pid) for name, pid in self._pids.items()}

    @staticmethod
    def _cpu_s(pid: int) -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_mib(self) -> dict[str, float]:
        """The most memory that each has held since `forget_peaks`, MiB resident."""
        return {name: self._peak_mib(pid) for name, pid in self._pids.items()}

    @staticmethod
    def _peak_mib(pid: int) -> float:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise ValueError(f"process {pid} has no VmHWM")
