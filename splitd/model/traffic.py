"""What passes through the front, counted."""

from __future__ import annotations

import attrs


@attrs.define
class Traffic:
    """Counts since the start; sizes in bytes."""

    uploads_under_way: int = 0
    uploads_committed: int = 0
    uploads_aborted: int = 0
    bytes_in: int = 0
    downloads_under_way: int = 0
    downloads_finished: int = 0
    downloads_failed: int = 0
    bytes_out: int = 0

    def upload_began(self) -> None:
        """An upload has its nodes."""
        self.uploads_under_way += 1

    def upload_ended(self, *, committed: bool) -> None:
        """An upload that began has ended."""
        self.uploads_under_way -= 1
        if committed:
            self.uploads_committed += 1
        else:
            self.uploads_aborted += 1

    def download_began(self) -> None:
        """A download's nodes answer."""
        self.downloads_under_way += 1

    def download_ended(self, *, failed: bool) -> None:
        """A download that began has ended; one that the client gave up did not fail."""
        self.downloads_under_way -= 1
        if failed:
            self.downloads_failed += 1
        else:
            self.downloads_finished += 1
