"""The interface for the parity of versions that are stored already.  It keeps the rules of `ICatalog` for changes."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface


class ILayouts(Interface):
    """Changes how many parity parts a version has.  The catalog provides it.

    Data parts stay as they are: a parity part depends only on them, not on how many others there are.
    """

    def change_parity(upload: str, parity: int) -> Deferred[bool]:
        """Give a version more parity parts, or fewer.

        More of them are missing at first, so the version is hurt until they are rebuilt.  Of fewer, the last ones are
        doomed.

        :param parity: how many parity parts it shall have, at most `splitd.model.striping.MAX_PARITY`.
        :return: a Deferred that fires with whether this was a change; it is none if the version has as many already,
            has no parts, or has no name any more.
        :raise LayoutRefused: there shall be fewer, and a part that would remain is missing now: it must be rebuilt
            first.
        """
