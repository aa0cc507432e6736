"""A wall clock that a test can set for processes, with libfaketime; spans of time are not affected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_LIBRARY = "faketime/libfaketimeMT.so.1"


class WallClock:
    """The wall clock of some processes.

    :param file: the file from which libfaketime reads the offset.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.step(0)

    def step(self, seconds: int) -> None:
        """Set the clock this many seconds ahead of the right time, or behind it if negative."""
        # This is one atomic step, because a process that finds the file empty would end.
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self._file)

    def environment(self) -> dict[str, str]:
        """Return the variables that make a process see this clock."""
        return {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
            "NO_FAKE_STAT": "1",
        }


def _library() -> Path:
    found = [*Path("/usr/lib").glob(f"*/{_LIBRARY}"), *Path("/usr/lib").glob(_LIBRARY)]
    if not found:
        missing = "libfaketime is missing; on Debian: apt-get install faketime"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found[0]
