"""Keys through power cuts: each change of one is there completely, or not at all, and so is what it implies."""

from __future__ import annotations

import pytest_twisted
from twisted.python.threadpool import ThreadPool

from splitd.interfaces.keys import KeyCopy
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.media import Labels, Media
from splitd.model.properties import PropertyChanges
from tests.crash.lives import NODES, Life, judge
from tests.crash.trials import cut_at_every_moment
from tests.ledger import begin, commit

AS_KEY = Condition(is_key=True)


class KeyLife(Life):
    """Puts, copies and deletes keys."""

    async def live(self) -> None:
        catalog, keys = self.catalog, self.catalog.keys
        await self.change(lambda: catalog.make_collection("/x"))
        for number in range(3):
            for key in ("a/b/c", "a", "a/", "a//", "../a", f"a/{number}"):
                await self.put_key(f"/x/{key}")
            await self.change(lambda: keys.copy_key(KeyCopy("/x/a", "/x/a/b/")))
            await self.change(lambda: keys.copy_key(KeyCopy("/x/a", "/x/a", Labels(Media("text/plain")))))
            await self.change(lambda: catalog.namespace.move("/x/a/b/c", "/x/d", ALWAYS, overwrite=True))
            await self.change(lambda: catalog.namespace.copy("/x/a/", "/x/e", ALWAYS, deep=True, overwrite=True))
            await self.reap()
            for key in ("a/", "a/b/", "a//", "../a", f"a/{number}"):
                await self.change(lambda k=key: keys.delete_key(f"/x/{k}", ALWAYS))
            await self.put("/x/e/f")
        await self.put_key("/x/g/h")
        await self.change(
            lambda: catalog.namespace.change_properties("/x/g", PropertyChanges({"a": "<a/>"}, ()), ALWAYS)
        )
        await self.change(lambda: keys.delete_key("/x/g/h", ALWAYS))
        await self.reap()
        for path in ("/x/g", "/x/e", "/x/d", "/x/a"):
            await self.change(lambda p=path: catalog.delete(p, ALWAYS))
        await self.change(lambda: keys.delete_empty("/x", ALWAYS))
        await self.reap()
        await self.put("/last")

    async def put_key(self, path: str) -> None:
        manifest = self.manifest(10)
        await begin(self.catalog.ledger, manifest.upload, path, NODES)
        await self.change(lambda: commit(self.catalog.ledger, path, manifest, AS_KEY))


@pytest_twisted.ensureDeferred
async def test_power_cuts_at_every_moment(pool: ThreadPool) -> None:
    assert await cut_at_every_moment(lambda disk: KeyLife(disk, pool), judge, "changes of keys") > 500
