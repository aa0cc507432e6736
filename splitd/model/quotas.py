"""Quotas: how much may be stored at some paths and below them.  Pure."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from splitd.model.paths import ancestors, place_of
from storaged.system.sizes import format_size


@attrs.frozen
class Quota:
    """A quota.

    :param name: what people call it: "/anna", "user anna".
    :param paths: where files count; none of them lies inside of another one.
    :param bytes: the most bytes of files there; None for no limit.
    :param files: the most files; None for no limit.
    """

    name: str
    paths: tuple[str, ...]
    bytes: int | None = None
    files: int | None = None

    def covers(self, path: str) -> bool:
        """Return whether a file at a path counts."""
        return any(each in self.paths for each in (place_of(path) or "/", *ancestors(path)))


@attrs.frozen
class QuotaUse:
    """How much of a quota is used."""

    quota: Quota
    bytes: int
    files: int

    @property
    def available(self) -> int | None:
        """How many bytes may be added; None if the quota does not limit them."""
        quota = self.quota
        if quota.files is not None and self.files >= quota.files:
            return 0
        return None if quota.bytes is None else max(0, quota.bytes - self.bytes)

    def why_exceeded(self, more_bytes: int, more_files: int) -> str:
        """Say which limit would be exceeded by so many bytes and files more; empty if none is.

        What does not grow is not refused, however much there is already.
        """
        quota = self.quota
        if quota.bytes is not None and more_bytes > 0 and self.bytes + more_bytes > quota.bytes:
            used, allowed = format_size(self.bytes), format_size(quota.bytes)
            return f"the quota of {quota.name} is {allowed}, {used} are used, {format_size(more_bytes)} more are needed"
        if quota.files is not None and more_files > 0 and self.files + more_files > quota.files:
            return f"the quota of {quota.name} is {quota.files} files, {self.files} are there"
        return ""


def topmost(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the paths that do not lie inside of another one of them, in order."""
    all_of = set(paths)
    return tuple(sorted(path for path in all_of if not any(each in all_of for each in ancestors(path))))
