"""The interface by which a journal gives an image of its snapshot to whoever keeps the state."""

from __future__ import annotations

from zope.interface import Interface


class IRestorer(Interface):
    """Takes the frames of a snapshot's image, in place of the records of the snapshot."""

    def take(frame: bytes) -> None:
        """Take the next frame.

        :raise ValueError: the frames are not those of an image.
        """

    def end() -> None:
        """Take note that there are no more frames, and that all of them are good.

        :raise ValueError: some are missing.
        """

    def reset() -> None:
        """Drop what was taken so far: the records of the snapshot follow."""
