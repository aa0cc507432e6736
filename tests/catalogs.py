"""What the tests of catalogs are written with: versions of files, the nodes of their parts, and a look at all names."""

from __future__ import annotations

from splitd.interfaces.catalog import ICatalog
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from splitd.model.paths import join
from splitd.model.tree import Collection

NODES = tuple("abcdef")
NEW = Condition(none_match=("*",))
AS_KEY = Condition(is_key=True)
A, B, C = "a" * 32, "b" * 32, "c" * 32


def manifest(upload: str, *, size: int = 10, parity: int = 0, nodes: tuple[str, ...] = NODES) -> Manifest:
    """A version with six parts."""
    return Manifest(upload, size, 5000, 6 - parity, parity, 4, nodes)


def doomed(*uploads: str) -> dict[str, list[str]]:
    """All parts of these uploads, by their nodes, as `tests.doomed.doomed_parts` shows them."""
    return {node: [f"{upload}.{index}" for upload in uploads] for index, node in enumerate(NODES) if uploads}


async def known(catalog: ICatalog, path: str) -> Manifest | None:
    """The file that a catalog knows at a path, if that is still there."""
    found = catalog.known_file(path)
    if found is None:
        return None
    file, prove = found
    return file if prove is None or await prove() else None


async def walk(catalog: ICatalog) -> dict[str, Manifest | Collection | None]:
    """All that has a name."""
    found = {"/": await catalog.lookup("/")}
    waiting = ["/"]
    while waiting:
        folder = waiting.pop()
        for member in await catalog.list_members(folder, "", 1000):
            path = join(folder, member.name)
            found[path] = member.entry
            if isinstance(member.entry, Collection):
                waiting.append(path)
    return found
