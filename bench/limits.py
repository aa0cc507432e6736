"""Measures the disk itself: whatever is durable before it is answered cannot be faster."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_DATA = os.urandom(4096)


def disk_limits(folder: Path, seconds: float) -> dict[str, float]:
    """Measure how many durable steps of some kinds a folder allows per second.

    :param seconds: how long to measure each kind.
    :return: steps per second, by the name of the kind.
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        place = Path(scratch)
        return {
            "append 4 KiB, fdatasync": _append(place / "journal", seconds),
            "new durable 4 KiB file": _new_files(place, 1, seconds),
            "new durable 4 KiB file, 16 threads": _new_files(place, 16, seconds),
        }


def _append(path: Path, seconds: float) -> float:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def once() -> None:
        os.write(file, _DATA)
        os.fdatasync(file)

    try:
        return _rate(once, seconds)
    finally:
        os.close(file)


def _new_files(place: Path, threads: int, seconds: float) -> float:
    def work(number: int) -> float:
        folder = place / f"{threads}-{number}"
        folder.mkdir()
        return _rate(_Files(folder).make, seconds)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads)))


class _Files:
    """Durable files in a folder: each is synced and renamed, and the folder is synced, before `make` returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def make(self) -> None:
        self._count += 1
        new = self._folder / "new"
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(file, _DATA)
        os.fdatasync(file)
        os.close(file)
        new.rename(self._folder / str(self._count))
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _rate(once: Callable[[], None], seconds: float) -> float:
    count = 0
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        once()
        count += 1
    return count / passed
