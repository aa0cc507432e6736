"""What a store holds, in plain dicts: what a model of it compares a cluster with."""

from __future__ import annotations

import attrs


def is_in(path: str, collection: str) -> bool:
    return path.startswith(collection + "/")


@attrs.frozen
class PlainLock:
    path: str
    token: str
    shared: bool
    deep: bool


class PlainStore:
    """Files by their paths, collections, a property of each, and locks by their tokens."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.collections: set[str] = set()
        self.notes: dict[str, str] = {}
        self.locks: dict[str, PlainLock] = {}

    def is_there(self, path: str) -> bool:
        return path in self.files or path in self.collections

    def has_parent(self, path: str) -> bool:
        parent = path.rpartition("/")[0]
        return not parent or parent in self.collections

    def below(self, path: str) -> list[str]:
        """Return a path, and the paths below it."""
        return [each for each in (*self.files, *self.collections) if each == path or is_in(each, path)]

    def take_place(self, target: str, paths: list[str], source: str) -> None:
        """Put the files and collections at and below `source` at `target`, too."""
        files = {path: self.files[path] for path in paths if path in self.files}
        collections = [path for path in paths if path in self.collections]
        notes = {path: self.notes[path] for path in paths if path in self.notes}
        self.forget(target)
        self.unlock_below(target, itself=False)
        self.files.update((target + path.removeprefix(source), data) for path, data in files.items())
        self.collections.update(target + path.removeprefix(source) for path in collections)
        self.notes.update((target + path.removeprefix(source), text) for path, text in notes.items())

    def forget(self, path: str) -> None:
        for each in self.below(path):
            self.files.pop(each, None)
            self.collections.discard(each)
            self.notes.pop(each, None)

    def covering(self, path: str) -> list[PlainLock]:
        return [each for each in self.locks.values() if each.path == path or (each.deep and is_in(path, each.path))]

    def is_barred(self, path: str, submits: bool, *, is_new: bool) -> bool:
        """Return whether locks forbid a change; `is_new` if the name itself is created or removed."""
        barring = self.covering(path)
        if is_new:
            barring = barring + [each for each in self.locks.values() if is_in(each.path, path)]
            barring += self.covering(path.rpartition("/")[0])
        return bool(barring) and not submits

    def unlock_below(self, path: str, *, itself: bool) -> None:
        for each in list(self.locks.values()):
            if is_in(each.path, path) or (itself and each.path == path):
                del self.locks[each.token]

    def tokens_for(self, submits: bool) -> dict[str, str]:
        """Return a header that always holds and has all tokens; or no header."""
        if not (submits and self.locks):
            return {}
        return {"If": "</> (Not <urn:none>) (Not <urn:none> " + " ".join(f"<{token}>" for token in self.locks) + ")"}
