"""Histories of clients that race, and the check that they are linearizable."""

from __future__ import annotations

import attrs


@attrs.frozen
class Event:
    """One operation of a client: it began and ended at these steps, and wrote or read this value."""

    began: int
    ended: int
    path: str
    value: int
    writes: bool


def explain_stale(history: list[Event]) -> str:
    """Say which read is wrong; empty if each can be placed in time.

    Values of one file only grow, because one client writes a file.  So a read is right if it finds no value older than
    the last one whose write had ended when it began, or that another read had ended with, and none whose write had not
    begun when it ended.
    """
    for read in (event for event in history if not event.writes):
        same = [event for event in history if event.path == read.path]
        least = max((event.value for event in same if event.ended < read.began), default=0)
        most = max((event.value for event in same if event.writes and event.began < read.ended), default=0)
        if not least <= read.value <= most:
            return f"{read} should find {least} to {most}"
    return ""
