"""The interface for looking up versions by their uploads."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.manifest import Manifest


class IVersions(Interface):
    """The versions of files, and segments.  The catalog provides it."""

    def find_all(uploads: Sequence[str]) -> Deferred[list[Manifest | None]]:
        """Look up versions by the uploads that made them.  The call's cost depends on their number only.

        :return: a Deferred that fires with the version of each, in their order, with the nodes where its parts lie now;
            None if no file has it, and it is no segment.
        """
