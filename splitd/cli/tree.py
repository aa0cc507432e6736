"""The requests of splitctl about files and collections, except those for the bytes of files."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPMessage
from typing import Any

import attrs

from splitd.cli.errors import ServerRefused
from splitd.cli.paths import clean_path, join_path
from splitd.cli.server import Server
from splitd.model.tree import basename, parent

_PAGE = 1000


@attrs.frozen
class RemoteTree:
    """The files and collections of a front."""

    front: Server

    def find(self, path: str) -> dict[str, Any] | None:
        """Look up a file or collection, in the form of a member in the list of its collection; None if nothing has this
        name.
        """
        name = basename(clean_path(path))
        try:
            with self.front.ask("HEAD", path) as answer:
                headers = answer.headers
        except ServerRefused as refusal:
            if refusal.status == HTTPStatus.NOT_FOUND:
                return None
            if refusal.status != HTTPStatus.METHOD_NOT_ALLOWED:
                raise
            headers = HTTPMessage()  # a collection may have no HEAD; a file always does
        # Every version of a file has an entity tag, and no collection has one.
        if headers["ETag"] is None:
            return {"name": name, "type": "collection"}
        modified = headers["Last-Modified"]
        return {
            "name": name,
            "type": "file",
            "size": int(headers["Content-Length"] or 0),
            "modified_ms": int(parsedate_to_datetime(modified).timestamp() * 1000) if modified else None,
            "etag": headers["ETag"],
            "content_type": headers["Content-Type"] or "",
        }

    def is_collection(self, path: str) -> bool:
        """Return whether a collection has this name."""
        if clean_path(path) == "/":
            return True
        entry = self.find(path)
        return entry is not None and entry["type"] == "collection"

    def members(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield all members of a collection, page by page."""
        after: str | None = ""
        while after is not None:
            page = self.front.document(path, {"after": after, "limit": _PAGE} if after else {"limit": _PAGE})
            yield from page["members"]
            after = page["next"]

    def walk(self, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield everything below a collection as pairs of path and member, each collection before what is in it.

        A collection below it that is deleted meanwhile ends where it was.
        """
        open_collections = [(clean_path(path), self.members(path))]  # a stack, for paths may be deeper than Python's
        while open_collections:
            collection, members = open_collections[-1]
            try:
                member = next(members, None)
            except ServerRefused as refusal:
                if refusal.status != HTTPStatus.NOT_FOUND or len(open_collections) == 1:
                    raise
                member = None
            if member is None:
                open_collections.pop()
                continue
            below = join_path(collection, member["name"])
            yield below, member
            if member["type"] == "collection":
                open_collections.append((below, self.members(below)))

    def transfer(self, method: str, source: str, destination: str, *, overwrite: bool) -> bool:
        """Copy or move a file or a collection, with everything in it, in one step.

        :param method: COPY or MOVE.
        :param overwrite: whether something that has the new name is replaced.
        :return: whether the new name was free.
        :raise ServerRefused: there is no such source, the destination's collection is missing, or the destination is
            taken and must not be replaced.
        """
        headers = {"Destination": self.front.url_of(destination), "Overwrite": "T" if overwrite else "F"}
        with self.front.ask(method, source, headers=headers) as answer:
            return answer.status == HTTPStatus.CREATED

    def make(self, path: str) -> None:
        """Make a collection.

        :raise ServerRefused: something has this name already, or the parent collection is missing.
        """
        with self.front.ask("MKCOL", path):
            pass

    def make_all(self, path: str) -> None:
        """Make a collection and its missing ancestors; do nothing if it exists."""
        if clean_path(path) == "/":
            return
        try:
            self.make(path)
        except ServerRefused as refusal:
            if refusal.status == HTTPStatus.METHOD_NOT_ALLOWED:
                return  # it exists (RFC 4918 section 9.3.1); if it is a file, the next request says so
            if refusal.status != HTTPStatus.CONFLICT:
                raise
            self.make_all(parent(clean_path(path)))
            self.make(path)

    def delete(self, path: str) -> None:
        """Delete a file, or a collection and everything in it."""
        with self.front.ask("DELETE", path):
            pass
