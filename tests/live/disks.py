"""Reads the disks of a cluster's nodes."""

from __future__ import annotations

from pathlib import Path

from tests.live.processes import wait_until


class Disks:
    """The folders of all nodes, as they are now.

    :param folder: the folder that holds them; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def parts(self, etag: str | None = None) -> dict[str, list[Path]]:
        """Return the files of parts on each node: all, or those of one version of a file."""
        name = "*" if etag is None else etag.strip('"') + ".*"
        nodes = sorted(self._folder.iterdir())
        return {node.name: sorted(node.glob(f"data/parts/*/{name}")) for node in nodes}

    def half_written(self) -> list[Path]:
        """Return the files of parts that are being written."""
        return list(self._folder.glob("*/data/tmp/*"))

    def wait_in_the_middle(self) -> None:
        """Wait until the first bytes of an upload have reached the disks of all six nodes."""
        wait_until(lambda: sum(_size(path) > 0 for path in self.half_written()) == 6, "six parts half written")

    def wait_for_parts(self, count: int) -> None:
        """Wait until the nodes hold `count` complete parts."""
        wait_until(lambda: sum(map(len, self.parts().values())) == count, f"{count} whole parts", self.parts)

    def wait_for_parts_of_only(self, *etags: str) -> None:
        """Wait until no node holds a part, complete or half-written, except those of these versions."""
        kept = {path for etag in etags for parts in self.parts(etag).values() for path in parts}

        def others() -> list[Path]:
            found = [path for parts in self.parts().values() for path in parts]
            return [*self.half_written(), *(path for path in found if path not in kept)]

        wait_until(lambda: not others(), "the nodes rid of all other parts", others)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
