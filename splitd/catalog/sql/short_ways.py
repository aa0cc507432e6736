"""Decides when a short way is worth a try that may lead nowhere.  Pure."""

from __future__ import annotations

_IN_VAIN = 7
"""So often it is not tried after it has led nowhere."""


class ShortWay:
    """A short way, which need not be tried each time: where files replace others, it leads nowhere again and again."""

    def __init__(self) -> None:
        self._left = 0

    def is_open(self) -> bool:
        """Whether to try it now."""
        self._left = max(0, self._left - 1)
        return not self._left

    def tried(self, *, in_vain: bool) -> None:
        """Take note of what a try has come to."""
        self._left = _IN_VAIN + 1 if in_vain else 0
