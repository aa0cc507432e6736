"""Counters of uploads and downloads."""

from __future__ import annotations

import attrs


@attrs.define
class Traffic:
    """Counts since the start; sizes in bytes."""

    uploads_under_way: int = 0
    uploads_committed: int = 0
    uploads_aborted: int = 0
    uploads_degraded: int = 0
    bytes_in: int = 0
    downloads_under_way: int = 0
    downloads_finished: int = 0
    downloads_failed: int = 0
    downloads_degraded: int = 0
    bytes_out: int = 0

    def upload_began(self) -> None:
        """Count an upload that has begun."""
        self.uploads_under_way += 1

    def upload_ended(self, *, committed: bool | None) -> None:
        """Count the end of an upload that had begun.

        :param committed: None if another upload has stored its file, or failed to, which is counted there.
        """
        self.uploads_under_way -= 1
        if committed:
            self.uploads_committed += 1
        elif committed is not None:
            self.uploads_aborted += 1

    def download_began(self) -> None:
        """Count a download that has begun: its nodes have answered."""
        self.downloads_under_way += 1

    def download_ended(self, *, failed: bool) -> None:
        """Count the end of a download that had begun; one that the client cancelled did not fail."""
        self.downloads_under_way -= 1
        if failed:
            self.downloads_failed += 1
        else:
            self.downloads_finished += 1
