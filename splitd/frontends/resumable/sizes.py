"""How large segments become, so that a file has fewer than it may have however small the requests are.  Pure."""

from __future__ import annotations

import attrs

from splitd.model.segments import MAX_SEGMENTS

_SHARE = MAX_SEGMENTS * 4 // 5
_GROWTH = 700


@attrs.frozen
class Sizes:
    """Sizes in bytes.

    :param small: a request with no more is held until all of it has come, and is stored with few messages then.
    :param least: a last segment that is smaller is stored again, together with what comes next.
    :param most: after so many bytes of one request, a segment ends and the next one begins: a power cut loses no more.
    """

    small: int = 1024 * 1024
    least: int = 256 * 1024
    most: int = 64 * 1024 * 1024

    def least_segment(self, length: int | None, offset: int) -> int:
        """Return from how many bytes on a segment stays as it is.

        With a known length, a file has at most 8,000 segments that are not too small.  Without, segments grow with what
        has come: one in 700 of it gives 9,500 segments for the largest file that there can be.

        :param length: the bytes of the file; None if they are unknown.
        :param offset: how many of them are stored.
        """
        return max(self.least, offset // _GROWTH if length is None else length // _SHARE)

    def most_segment(self, length: int | None, offset: int) -> int:
        """Return after how many bytes a segment ends within a request."""
        return max(self.most, 2 * self.least_segment(length, offset))
