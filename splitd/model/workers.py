"""Workers: the processes of one front that serve clients.  Pure."""

from __future__ import annotations

from typing import Final

MOST_WORKERS = 64
"""More cores than a front has; memory that the processes share has a place for each."""

AUTO: Final = "auto"
"""As many workers as fit the machine."""

_MOST_CHOSEN = 8


def choose_workers(cores: int) -> int:
    """Return how many workers fit a machine: half of its cores, because nodes or programs of others use some, too, and
    the process that keeps the catalog another one.

    :return: the number, at most 8; 1 for one process that does all.
    """
    return 1 if cores <= 2 else min(cores // 2, _MOST_CHOSEN)
