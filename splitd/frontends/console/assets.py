"""The files of the page: read, linked and compressed once, under names that change with their bytes."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

import attrs

from splitd.frontends.console.linking import link

FOREVER = "public, max-age=31536000, immutable"

ENTRY = "app.js"
"""The module that the page begins with."""

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

    The modules that it needs at once are one file.  The others import that one by a relative name, so all of them lie
    in one folder, whose name is a hash of them all.  A page and its modules are always of one version.

    :ivar version: the name of the folder.
    """

    def __init__(self) -> None:
        found = dict(sorted(_walk(files(__package__) / "assets", "")))
        modules = {name: found.pop(name).decode() for name in list(found) if name.endswith(".js")}
        found |= {name: source.encode() for name, source in link(modules, ENTRY).items()}
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


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _walk(each, f"{prefix}{each.name}/")
        elif each.name.rpartition(".")[2] in _TYPES:
            yield prefix + each.name, each.read_bytes()
