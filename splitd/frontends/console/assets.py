"""The files of the page: read once, compressed once, under names that change with their bytes."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

import attrs

FOREVER = "public, max-age=31536000, immutable"

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


@attrs.frozen
class Asset:
    """One file.

    :param content_type: its type.
    :param body: its bytes.
    :param packed: the same, compressed by gzip.
    """

    content_type: str
    body: bytes = attrs.field(repr=False)
    packed: bytes = attrs.field(repr=False)


class Assets:
    """All files of the page.

    Modules import each other by relative names, so all of them lie in one folder, whose name is a hash of them all.
    A page and its modules are always of one version.

    :ivar version: the name of the folder.
    """

    def __init__(self) -> None:
        found = dict(sorted(_walk(files(__package__) / "assets", "")))
        digest = hashlib.sha256()
        for name, body in found.items():
            digest.update(f"{name}\0{len(body)}\0".encode() + body)
        self.version = digest.hexdigest()[:16]
        self._files = {
            name: Asset(_TYPES[name.rpartition(".")[2]], body, gzip.compress(body, 9, mtime=0))
            for name, body in found.items()
        }

    def find(self, name: str) -> Asset | None:
        """Return a file by its path in the folder; None if there is none."""
        return self._files.get(name)

    def names(self) -> list[str]:
        """Return the paths of all files."""
        return list(self._files)


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _walk(each, f"{prefix}{each.name}/")
        elif each.name.rpartition(".")[2] in _TYPES:
            yield prefix + each.name, each.read_bytes()
