"""Decides how many parts a node is asked to delete at once, and how long the pause after a failure is.  Pure."""

from __future__ import annotations

_FIRST = 100
_QUICK_S = 1.0
_SLOW_S = 3.0
_FIRST_PAUSE_S = 1.0

MOST = 1000
"""The most parts of a batch."""


class DeletionPace:
    """Adapts the batches of deletions to one node, which must answer each within its timeout.

    Batches grow while the node deletes full ones quickly.  They shrink while it is slow.  The pauses after
    failures double, up to the longest one.

    :param longest_pause_s: the longest pause.
    :ivar limit: how many parts the next batch has at most, 1 to `MOST`.
    """

    def __init__(self, longest_pause_s: float) -> None:
        self._longest_pause_s = longest_pause_s
        self._pause_s = _FIRST_PAUSE_S
        self.limit = _FIRST

    def answered(self, count: int, took_s: float) -> None:
        """Take note of a batch that the node has answered.

        :param count: the parts in it.
        :param took_s: how long the answer took, seconds.
        """
        if took_s > _SLOW_S:
            self.limit = max(1, self.limit // 2)
        elif took_s < _QUICK_S and count >= self.limit:
            self.limit = min(MOST, self.limit * 2)

    def failed(self, took_s: float) -> None:
        """Take note of a batch that failed as a whole.  If that took long, it may have been too large for the node.

        :param took_s: how long it took, seconds.
        """
        if took_s > _SLOW_S:
            self.limit = max(1, self.limit // 4)

    def pause(self) -> float:
        """Begin a pause.

        :return: how long it is, seconds.
        """
        pause_s = min(self._pause_s, self._longest_pause_s)
        self._pause_s = min(2 * pause_s, self._longest_pause_s)
        return pause_s

    def recovered(self) -> None:
        """Take note that the node works again: the next pause is a short one."""
        self._pause_s = _FIRST_PAUSE_S
