"""Whether a new file may be put is found out by one statement, where nothing speaks against it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing

import attrs
import pytest
import pytest_twisted

from splitd.catalog.sql.connected import Current
from splitd.catalog.sql.connecting import connector
from splitd.catalog.sql.jobs import Look
from splitd.catalog.sql.reader import Reader
from splitd.catalog.sql.state import Common
from splitd.model.conditions import ALWAYS
from splitd.model.properties import LAYOUT, PropertyChanges, write_layout
from tests.catalogs import A
from tests.contract.catalogs.both_fronts import Both
from tests.postgres import postgres

_FREE, _LOOKED = "free", "looked"


@attrs.define
class Asking:
    """A reader that knows the root and the collection `/c`, in which is `/c/f`; looks only say that they were made."""

    both: Both
    reader: Reader

    def ask(self, *paths: str) -> list[object]:
        looks = [Look(lambda: _LOOKED, [path], lambda _: None, plain=True, locks=True, free=(path, lambda: _FREE))
                 for path in paths]  # fmt: skip
        found = list(self.reader.work(looks))
        self.reader.settle()
        return found


@pytest_twisted.async_yield_fixture
async def asking(both: Both) -> AsyncIterator[Asking]:
    await both.fronts[0].make_collection("/c")
    await both.put(0, "/c/f", A)
    common = Common(folders={"": (0, b"", 1, False, None, None)})
    with closing(postgres().connect(both.schema)) as connection:
        [row] = connection.execute("SELECT parent, name, id, implied FROM entry WHERE name = 'c/'").fetchall()
    common.folders["c/"] = *row, None, None
    reader = Reader(connector(postgres().url(both.schema)), Current(), common, lambda: 0)
    yield Asking(both, reader)
    reader.close()


@pytest_twisted.ensureDeferred
async def test_free_paths_need_no_further_look(asking: Asking) -> None:
    assert asking.ask("/c/new", "/c/f", "/new", "/c") == [_FREE, _LOOKED, _FREE, _LOOKED]


@pytest.mark.parametrize("paths", [("/unknown/f", "/f"), ("no path", "/f"), ("/\udcff", "/f")])
@pytest_twisted.ensureDeferred
async def test_all_paths_are_looked_at_if_one_leads_through_what_is_not_known(
    asking: Asking, paths: tuple[str, str]
) -> None:
    assert asking.ask(*paths) == [_LOOKED, _LOOKED]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entry SET parent = -1 WHERE name = 'c/'",
        "UPDATE entry SET parent = -1 WHERE parent = 1; INSERT INTO entry (parent, name, id) VALUES (1, 'c/', 77)",
        """INSERT INTO lock (token, path, place, scope, deep, owner, taken_ms, expires_ms, holder, serial)
            VALUES ('t', '/b', '/b', 'exclusive', false, '', 0, 1000, '', 1)""",
    ],
    ids=["deleted", "replaced", "lock"],
)
@pytest_twisted.ensureDeferred
async def test_paths_are_looked_at_if_a_collection_is_not_where_it_was_or_there_are_locks(
    asking: Asking, change: str
) -> None:
    with closing(postgres().connect(asking.both.schema)) as connection:
        connection.execute(change)
        connection.commit()
    assert asking.ask("/c/new") == [_LOOKED]


@pytest_twisted.ensureDeferred
async def test_paths_are_looked_at_if_a_collection_asks_for_a_layout(asking: Asking) -> None:
    changes = PropertyChanges({LAYOUT: write_layout("4+2")}, ())
    await asking.both.fronts[0].namespace.change_properties("/c", changes, ALWAYS)
    assert asking.ask("/c/new") == [_LOOKED]
    assert asking.ask("/new") == [_LOOKED]  # the short way is not tried again at once
