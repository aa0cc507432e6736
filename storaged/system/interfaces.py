"""The interface to the operating system: the file calls that durability depends on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zope.interface import Attribute, Interface

from storaged.system.buffers import Piece
from storaged.system.volume import Volume


class IFile(Interface):
    """An open file.  Every method but `read_cached` blocks: it belongs in a pool, not in the reactor's thread."""

    def write(pieces: Iterable[Piece]) -> None:
        """Append all the pieces.

        :raise OSError: the write failed; any number of the bytes may have been written.
        """

    def write_at(offset: int, pieces: Sequence[Piece]) -> None:
        """Write all the pieces from `offset` on, in place of what is there; not for a file that is open for "append".

        :raise OSError: the write failed; any part of the bytes may have been written.
        """

    def read_at(offset: int, count: int) -> bytes:
        """Read `count` bytes from `offset`; fewer only at the end of the file."""

    def read_cached(offset: int, count: int) -> bytes | None:
        """Read `count` bytes from `offset` if that needs no disk.  Does not block.

        :return: the bytes; None if not all of them are in the page cache, or if the system cannot tell.
        """

    def sync() -> None:
        """Make the file's bytes and its size durable (fdatasync).

        :raise OSError: the sync failed.  Bytes written since the last successful sync may be lost, even if a second
            call succeeds.
        """

    def start_sync() -> None:
        """Ask the kernel to begin to write the bytes so far to the disk, so that `sync` has less to do.  It promises
        nothing.
        """

    def uncache(offset: int, count: int) -> None:
        """Tell the kernel that `count` bytes from `offset` need not stay in its page cache.  It promises nothing."""

    def truncate(size: int) -> None:
        """Cut the file to `size` bytes."""

    def fileno() -> int:
        """Return its descriptor, for calls that are not here; -1 if its bytes can be read with `read_at` only."""

    def close() -> None:
        """Close the file.  May be called again."""

    size = Attribute("The size of the file in bytes: an int, read from the system at each access.")
    modified_ms = Attribute("When it was last written, milliseconds since 1970: an int, read at each access, too.")


class IFilesystem(Interface):
    """The calls of the operating system that durability depends on.

    It is passed in, so that tests can pass in a file system that forgets what was not synced.  Every method blocks.
    Paths are text.  Errors are `OSError`.
    """

    def open(path: str, mode: str) -> IFile:
        """Open a file.

        :param mode: "read"; "append", which creates the file if it is missing; "create", which fails if it exists; or
            "update", which fails if it does not.
        :return: an `IFile`.
        """

    def rename(source: str, target: str) -> None:
        """Rename a file to `target`; a file there is replaced in one step."""

    def remove(path: str) -> None:
        """Delete a file."""

    def sync_folder(path: str) -> None:
        """Make all changes of names in a folder durable: files that were created, renamed and deleted in it so far."""

    def make_folder(path: str) -> None:
        """Make a folder and the missing ones above it, durably.  Does nothing if it exists."""

    def scan(path: str) -> list[tuple[str, int, int]]:
        """List the files in a folder: (name, size in bytes, modified_ms) of each, in no order."""

    def volume(path: str) -> Volume:
        """Return the `Volume` that a path lies on."""
