"""Versions that are left alone for a while after a failed attempt to heal them."""

from __future__ import annotations

from typing import Any

_FIRST_S = 10.0
_FIRST_REFUSED_S = 1.0
_LONGEST_S = 600.0
_MOST = 10_000


class Pauses:
    """Remembers failed attempts; the pause after each further failure is twice as long, up to 10 min.

    The first one is 10 s, or 1 s if a node only refused a part: a copy may have to be deleted there first.

    If there are too many failures, the oldest are forgotten.

    :param clock: measures the pauses.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._failed: dict[str, tuple[float, float]] = {}  # the end of the pause, and its length
        self._refused: dict[str, set[str]] = {}

    def failed(self, upload: str, first_s: float = _FIRST_S) -> None:
        """Note a failure.

        :param first_s: the pause in seconds if it is the first failure.
        """
        _, before = self._failed.pop(upload, (0.0, first_s / 2))
        pause_s = min(2 * before, _LONGEST_S)
        self._failed[upload] = self._clock.seconds() + pause_s, pause_s
        self._bound()

    def refused(self, upload: str, nodes: set[str]) -> None:
        """Note that some nodes do not take parts of a version now."""
        self._refused.setdefault(upload, set()).update(nodes)
        self.failed(upload, _FIRST_REFUSED_S)

    def _bound(self) -> None:
        if len(self._failed) > _MOST:
            oldest = next(iter(self._failed))
            del self._failed[oldest]
            self._refused.pop(oldest, None)

    def ended(self, upload: str) -> None:
        """Note a success."""
        self._failed.pop(upload, None)
        self._refused.pop(upload, None)

    def clear(self) -> None:
        """Forget all failures: something has changed, and new attempts may succeed."""
        self._failed.clear()
        self._refused.clear()

    def holds(self, upload: str) -> bool:
        """Whether a version is to be left alone now."""
        failed = self._failed.get(upload)
        return failed is not None and self._clock.seconds() < failed[0]

    def refusing(self, upload: str) -> set[str]:
        """Return the nodes that did not take parts of a version at the last attempts.

        They are tried again when no other node is left.
        """
        return self._refused.get(upload, set())
