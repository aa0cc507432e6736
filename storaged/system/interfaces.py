"""The seam of the operating system: the file calls that durability hangs on."""

from __future__ import annotations

from collections.abc import Iterable

from zope.interface import Attribute, Interface

from storaged.system.volume import Volume


class IFile(Interface):
    """An open file.  Every method blocks: it belongs in a pool, not in the reactor's thread."""

    def write(pieces: Iterable[bytes]) -> None:
        """Append the pieces, all of them.

        :raise OSError: any number of their bytes may have been written.
        """

    def read_at(offset: int, count: int) -> bytes:
        """Read `count` bytes from `offset`; fewer only at the end of the file."""

    def sync() -> None:
        """Make the file's bytes and its size survive a power cut (fdatasync).

        :raise OSError: what was written since the last good sync may be lost, whatever a second call says.
        """

    def start_sync() -> None:
        """Ask the kernel to begin writing out what was written so far, so that `sync` finds less to do.
        Promises nothing.
        """

    def truncate(size: int) -> None:
        """Cut the file to `size` bytes."""

    def fileno() -> int:
        """Its descriptor, for calls that are not here; -1 where its bytes must pass through `read_at`."""

    def close() -> None:
        """Close the file.  May be called again."""

    size = Attribute("The bytes in the file, an int, asked of the system at each look.")
    modified_ms = Attribute("When it was last written, milliseconds since 1970, an int, asked likewise.")


class IFilesystem(Interface):
    """The operating system's calls that durability hangs on.

    Passed in, so that tests can put in its place one that forgets what was not synced.  Every method blocks.
    Paths are text.  Errors are `OSError`.
    """

    def open(path: str, mode: str) -> IFile:
        """Open a file.

        :param mode: "read"; "append", which makes it where missing; or "create", which fails where it exists.
        :return: an `IFile`.
        """

    def rename(source: str, target: str) -> None:
        """Move a file over `target`, which is replaced in one step."""

    def remove(path: str) -> None:
        """Delete a file."""

    def sync_folder(path: str) -> None:
        """Make the names in a folder survive a power cut: those made, moved and deleted in it so far."""

    def make_folder(path: str) -> None:
        """Make a folder and the missing ones above it, durably.  Does nothing where it is there."""

    def scan(path: str) -> list[tuple[str, int, int]]:
        """List a folder: a list of (name, size in bytes, modified_ms) of the files in it, in no order."""

    def volume(path: str) -> Volume:
        """The `Volume` that a path lies on."""
