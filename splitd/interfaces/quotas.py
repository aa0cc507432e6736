"""The interface for quotas.  The catalog provides it: whether a file still fits is decided where it gets its name."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.quotas import Quota, QuotaUse


class IQuotas(Interface):
    """How much may be stored at some paths and below them.

    Each change of names that would exceed a quota fails with `QuotaExceeded`: the commit of an upload, COPY, MOVE into
    the quota's paths, and a lock that makes a file.  The segments of uploads that can be continued count in bytes at
    the paths that their files should get, from their commits until the uploads end.  Changes are judged one after the
    other, so that no two of them that each fit exceed it together.  Without quotas, nothing of this costs anything.
    """

    def set_quotas(quotas: Sequence[Quota]) -> Deferred[None]:
        """Use these quotas from now on, and no others.

        What is stored at a path that had no quota before is counted once; changes there wait until that is done.

        :return: a Deferred that fires with None when all of them are in force.
        """

    def usage(path: str | None = None) -> Deferred[Sequence[QuotaUse]]:
        """Tell how much of the quotas is used.

        :param path: only those that count a file at this path; None for all.
        """

    def refuse(path: str, size: int | None, replaced: int | None = None) -> Deferred[int | None]:
        """Ask whether a file, or a segment, may be put at a path now, before its bytes are taken.  The commit is judged
        again.

        :param size: its bytes; None if unknown.
        :param replaced: the bytes of the segment that a segment replaces, 0 if it replaces none; None for a file.
        :return: a Deferred that fires with the most bytes that it may have; None for any number.
        :raise QuotaExceeded: no file or segment, or none of this size, may be put there.
        """
