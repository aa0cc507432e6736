"""Reads the CPU time and memory of processes from /proc (Linux)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import attrs

_TICKS = os.sysconf("SC_CLK_TCK")


@attrs.frozen
class MachineTime:
    """CPU seconds of the whole machine since it was started.

    :param busy: used for any work.
    :param stolen: withheld by the host of a virtual machine.
    """

    busy: float
    stolen: float


def machine_time() -> MachineTime:
    """Return the CPU time of the machine until now."""
    user, nice, system, _idle, _waiting, hard, soft, stolen = (
        int(ticks) / _TICKS for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return MachineTime(user + nice + system + hard + soft, stolen)


class Processes:
    """The daemons of a service, each with the processes it has started.

    :param pids: process ids by the daemons' names, the front's first.
    """

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids

    @property
    def pids(self) -> dict[str, int]:
        """Their process ids, by their names."""
        return dict(self._pids)

    @property
    def front(self) -> str:
        """The name of the daemon that clients connect to."""
        return next(iter(self._pids))

    def forget_peaks(self) -> None:
        """Reset the measurement of peak memory."""
        for pids in self._trees().values():
            for pid in pids:
                with contextlib.suppress(OSError):  # it belongs to another user: its peak is the one since its start
                    Path(f"/proc/{pid}/clear_refs").write_text("5")

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds that each daemon has used, user and system."""
        return {name: sum(map(_cpu_s, pids)) for name, pids in self._trees().items()}

    def peak_mib(self) -> dict[str, float]:
        """Return the most memory that each daemon has held since `forget_peaks`, in MiB resident."""
        return {name: sum(_status_mib(pid, "VmHWM") for pid in pids) for name, pids in self._trees().items()}

    def resident_mib(self) -> dict[str, float]:
        """Return the memory that each daemon holds now, in MiB resident, without the processes that it has started."""
        return {name: _status_mib(pid, "VmRSS") for name, pid in self._pids.items()}

    def open_files(self) -> dict[str, float]:
        """Return how many file descriptors each daemon has open."""
        return {name: float(_open_files(pid)) for name, pid in self._pids.items()}

    def threads(self) -> dict[str, float]:
        """Return how many threads each daemon has."""
        return {name: _status(pid, "Threads") for name, pid in self._pids.items()}

    def _trees(self) -> dict[str, list[int]]:
        children: dict[int, list[int]] = {}
        for path in Path("/proc").iterdir():
            if path.name.isdigit():
                with contextlib.suppress(OSError):  # it has ended
                    children.setdefault(int(_fields(int(path.name))[1]), []).append(int(path.name))
        trees = {}
        for name, root in self._pids.items():
            tree = [root]
            for pid in tree:  # the list grows during the loop
                tree += children.get(pid, [])
            trees[name] = tree
        return trees


def _fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat, from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_s(pid: int) -> float:
    # Its own time, and that of its children that have ended.
    return sum(map(int, _fields(pid)[11:15])) / _TICKS


def _status_mib(pid: int, field: str) -> float:
    return _status(pid, field) / 1024


def _status(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return float(line.split()[1])
    raise ValueError(f"process {pid} has no {field}")


def _open_files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
