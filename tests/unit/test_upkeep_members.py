"""Background work sees every file: those too that collections are themselves, and whatever their names are."""

from __future__ import annotations

import pytest_twisted
from twisted.internet.task import Clock

from splitd.model.conditions import Condition
from splitd.upkeep.check.walk import Walk
from splitd.upkeep.members import sort_out
from tests.fired import fired
from tests.unit.catalogs import Front

AS_KEY = Condition(is_key=True)
KEYS = ["a", "a/", "a/b", "a//", "a//..", "b/c/", "..", "\0"]


class Eager(Clock):
    """A clock whose calls come at once."""

    def callLater(self, when: float, what: object, *args: object, **kwargs: object) -> object:
        call = super().callLater(when, what, *args, **kwargs)  # type: ignore[arg-type]
        self.advance(0)
        return call


async def filled() -> Front:
    front = await Front().start()
    await front.catalog.make_collection("/x")
    for number, key in enumerate(KEYS):
        await front.put(f"/x/{key}", f"{number:032x}", AS_KEY)
    return front


@pytest_twisted.ensureDeferred
async def test_a_walk_finds_every_file_by_its_path() -> None:
    front = await filled()
    for start, keys in (
        ("/", KEYS),
        ("/x", KEYS),
        ("/x/a/", [key for key in KEYS if key.startswith("a/")]),
        ("/x/a", ["a"]),
        ("/x/a//", ["a//", "a//.."]),
    ):
        walk = Walk(front.catalog, start, Eager())
        await walk.begin()
        found: dict[str, str] = {}
        while files := await walk.next():
            assert not found.keys() & {path for path, _ in files}
            found |= {path: manifest.upload for path, manifest in files}
        assert found == {f"/x/{key}": f"{KEYS.index(key):032x}" for key in keys}


@pytest_twisted.ensureDeferred
async def test_collections_are_told_from_files_of_the_same_name() -> None:
    front = await filled()
    files, collections = sort_out("/x", fired(front.catalog.list_members("/x", "", 9)))
    assert [path for path, _ in files] == ["/x/\0", "/x/..", "/x/a", "/x/a/"]
    assert collections == ["/x/a/", "/x/b/"]
