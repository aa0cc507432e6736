"""Keys and tokens that people make: what is asked of the catalog, and how their secrets are kept."""

from __future__ import annotations

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from splitd.access.entries import read_users
from splitd.access.identities import Identities
from splitd.access.keys import NotLooked, UserKeys
from splitd.access.logins import Logins
from splitd.access.own import KEY, TOKEN, Own, OwnCredentials, read_own
from splitd.access.remembered import LOOKED_S, Remembered
from splitd.access.secrets import Seal
from splitd.errors import BadCredentials, DocumentChanged
from splitd.model.documents import Document, Documents
from storaged.system.clocks import WallClock
from storaged.system.parallel import compute_at_once
from tests.clocks import wall_of

USERS = "users:\n  anna: {grants: [{path: /, allow: [read, write]}]}\n"
OLD, NEW = "an old cluster key", "a new cluster key"


class Kept:
    """The small documents of a catalog, in memory.

    :param is_shared: whether other fronts change them, too.
    :ivar asked: how often they were looked up.
    :ivar used: the keys of those whose use is noted just before their next change.
    :ivar is_busy: whether something that may be one of them is changed all the time.
    """

    def __init__(self, wall: WallClock, *, is_shared: bool) -> None:
        self._wall = wall
        self._is_shared = is_shared
        self.documents = Documents()
        self.asked = 0
        self.used: set[str] = set()
        self.is_busy = False

    def put(self, document: Document, expected: int | None = None, most: int | None = None) -> Deferred[Document]:  # noqa: ARG002
        place, now_ms = (document.kind, document.key), self._wall.steady_ms()
        present = self.documents.find(*place, now_ms)
        if present is not None and document.key in self.used:
            self.used.remove(document.key)
            self.documents.put(attrs.evolve(present, revision=self.documents.last + 1), now_ms)
        if expected is not None and self.documents.revision(*place) != expected:
            return fail(DocumentChanged("another revision is there"))
        made = attrs.evolve(document, revision=self.documents.last + 1)
        self.documents.put(made, now_ms)
        return succeed(made)

    def find(self, kind: str, key: str) -> Deferred[Document | None]:
        self.asked += 1
        return succeed(self.documents.find(kind, key, self._wall.steady_ms()))

    def delete(self, kind: str, key: str, expected: int | None = None) -> Deferred[bool]:  # noqa: ARG002
        self.documents.remove(kind, key)
        return succeed(True)

    def page(self, kind: str, owner: str | None, after: str, limit: int) -> Deferred[list[Document]]:
        return succeed(self.documents.page(kind, owner, after, limit, self._wall.steady_ms()))

    def stamp(self, kind: str, key: str) -> object | None:
        return object() if self.is_busy else None if self._is_shared else self.documents.revision(kind, key)


class Desk:
    """What a front has of them.

    :param is_shared: whether there are other fronts.
    """

    def __init__(self, *, is_shared: bool = False) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.wall = wall_of(self.clock)
        self.kept = Kept(self.wall, is_shared=is_shared)
        documents: object = self.kept
        self.seal = Seal(OLD)
        remembered = Remembered(documents, self.wall)  # type: ignore[arg-type]
        identities = Identities(documents, remembered, self.wall)  # type: ignore[arg-type]
        self.own = OwnCredentials(documents, remembered, identities, self.seal, self.wall)  # type: ignore[arg-type]
        entries = read_users("users.yaml", USERS)
        self.logins = Logins(entries, compute_at_once, self.clock.seconds, self.wall, own=self.own)
        self.keys = UserKeys(lambda: self.logins, self.seal.open, self.own)

    async def make(self, kind: str, ends_s: float = 0) -> tuple[str, str]:
        """Make one of anna; return its id and its secret."""
        ends_ms = self.wall.steady_ms() + int(ends_s * 1000) if ends_s else 0
        own = Own("", self.wall.now_ms(), ["read"], used_ms=self.wall.now_ms())
        made = await self.own.make(kind, "anna", own, ends_ms)
        return made.document.key, made.secret

    async def take_back(self, kind: str, name: str) -> None:
        document = self.kept.documents.find(kind, name, self.wall.steady_ms())
        assert document is not None
        await self.own.take_back(document)

    async def secret(self, name: str) -> str | None:
        """Return the secret of a key, as the S3 door finds it."""
        try:
            found = self.keys.find(name)
        except NotLooked:
            found = (await self.keys.look(name)).find(name)
        return None if found is None else found.secret


@pytest_twisted.ensureDeferred
async def test_a_known_key_is_not_looked_up_again() -> None:
    for desk in (Desk(), Desk(is_shared=True)):
        name, secret = await desk.make(KEY)
        header = f"Bearer {(await desk.make(TOKEN))[1]}"
        for _ in range(10):
            assert await desk.secret(name) == secret
            known = desk.logins.known(header.encode())
            assert (known.principal if known else await desk.logins.prove(header, "192.0.2.1")).name == "anna"
        assert desk.kept.asked == 2
        principal = desk.keys.find(name)
        desk.clock.advance(LOOKED_S)
        await desk.secret(name)
        again = desk.keys.find(name)
        assert principal is not None
        assert again is not None
        assert again.principal is principal.principal  # it has the same door


@pytest_twisted.ensureDeferred
async def test_a_key_is_found_while_the_catalog_changes_all_the_time() -> None:
    desk = Desk()
    name, secret = await desk.make(KEY)
    desk.kept.is_busy = True
    for _ in range(2):
        assert await desk.secret(name) == secret
    assert await desk.secret("SPLOWN" + "A" * 16) is None


@pytest_twisted.ensureDeferred
async def test_an_id_that_no_key_can_have_is_not_looked_up() -> None:
    desk = Desk()
    name, _ = await desk.make(KEY)
    for wrong in (
        "SPLOWN",
        name[:-1],
        name + "A",
        name.lower(),
        name[:-1] + "1",
        name[:-1] + "\udcff",
        name + "A" * 60_000,
    ):
        assert await desk.secret(wrong) is None
    assert desk.kept.asked == 0


@pytest_twisted.ensureDeferred
async def test_one_that_is_taken_back_is_good_for_nothing_at_once_here_and_soon_elsewhere() -> None:
    for desk in (Desk(), Desk(is_shared=True)):
        name, secret = await desk.make(KEY)
        token, text = await desk.make(TOKEN)
        header = f"Bearer {text}"
        assert await desk.secret(name) == secret
        await desk.logins.prove(header, "192.0.2.1")
        assert desk.logins.known(header.encode()) is not None
        await desk.take_back(KEY, name)
        await desk.take_back(TOKEN, token)
        desk.clock.advance(desk.own.spreads_in_s)
        assert await desk.secret(name) is None
        assert desk.logins.known(header.encode()) is None
        with pytest.raises(BadCredentials):
            await desk.logins.prove(header, "192.0.2.1")
    assert (Desk().own.spreads_in_s, desk.own.spreads_in_s) == (0, LOOKED_S)


@pytest_twisted.ensureDeferred
async def test_one_with_an_end_ends_then_though_it_is_remembered() -> None:
    desk = Desk()
    name, secret = await desk.make(KEY, ends_s=100)
    header = f"Bearer {(await desk.make(TOKEN, ends_s=100))[1]}"
    await desk.logins.prove(header, "192.0.2.1")
    assert await desk.secret(name) == secret
    desk.clock.advance(99)
    assert await desk.secret(name) == secret
    assert desk.logins.known(header.encode()) is not None
    desk.clock.advance(1)
    assert await desk.secret(name) is None
    assert desk.logins.known(header.encode()) is None


@pytest_twisted.ensureDeferred
async def test_wrong_tokens_slow_nobody_and_are_looked_up_once() -> None:
    desk = Desk()
    for _ in range(50):
        with pytest.raises(BadCredentials):
            await desk.logins.prove("Bearer splitd_own_wrong", "192.0.2.1")
    assert desk.kept.asked == 1
    assert desk.logins.attempts.begin("192.0.2.1", "anna") == 0


@pytest_twisted.ensureDeferred
async def test_the_last_use_is_noted_once_a_day() -> None:
    desk = Desk()
    name, _ = await desk.make(KEY)
    revision = desk.kept.documents.revision(KEY, name)
    for _ in range(3):
        await desk.secret(name)
    assert desk.kept.documents.revision(KEY, name) == revision
    desk.clock.advance(24 * 3600)
    for _ in range(3):
        await desk.secret(name)
    assert desk.kept.documents.revision(KEY, name) == revision + 1
    document = desk.kept.documents.find(KEY, name, 0)
    assert document is not None
    assert read_own(document).used_ms == desk.wall.now_ms()


@pytest_twisted.ensureDeferred
async def test_secrets_are_sealed_anew_when_the_cluster_key_changes() -> None:
    desk = Desk()
    name, secret = await desk.make(KEY)
    token, _ = await desk.make(TOKEN)
    assert not any(secret in each.body for each in desk.kept.documents.all())
    desk.seal.take(NEW, OLD)
    desk.kept.used.add(name)
    assert await desk.own.reseal() == []
    desk.seal.take(NEW)
    assert await desk.own.reseal() == []
    assert await desk.secret(name) == secret
    assert desk.kept.documents.find(TOKEN, token, 0) is not None
    desk.seal.take("a third cluster key")
    revision = desk.kept.documents.revision(KEY, name)
    assert await desk.own.reseal() == [name]  # it cannot be opened any more, and waits for its cluster key
    assert desk.kept.documents.revision(KEY, name) == revision


@pytest_twisted.ensureDeferred
async def test_a_key_is_good_again_when_its_cluster_key_is_back() -> None:
    desk = Desk()
    name, secret = await desk.make(KEY)
    desk.seal.take(NEW)
    assert await desk.secret(name) is None
    desk.seal.take(NEW, OLD)
    assert await desk.secret(name) == secret


@pytest_twisted.ensureDeferred
async def test_a_user_who_is_gone_has_none() -> None:
    desk = Desk()
    name, secret = await desk.make(KEY)
    header = f"Bearer {(await desk.make(TOKEN))[1]}"
    assert await desk.secret(name) == secret
    none = read_users("users.yaml", USERS.replace("anna", "berta"))
    desk.logins = Logins(none, compute_at_once, desk.clock.seconds, desk.wall, own=desk.own)
    assert await desk.secret(name) is None
    with pytest.raises(BadCredentials):
        await desk.logins.prove(header, "192.0.2.1")
