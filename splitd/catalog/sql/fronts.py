"""The fronts that use a catalog.  Each has a lease, which it renews; when it expires, the front counts as gone."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.catalog.sql.exclusion import Excluded, hold_off
from splitd.catalog.sql.front_rows import LEASE_S
from splitd.catalog.sql.leases import HeldLeases
from splitd.catalog.sql.migrations import migrate, newest, refuse_unknown, version_of, why_unknown
from splitd.errors import CatalogAway, CatalogOutdated
from splitd.interfaces.leases import UPKEEP, ILeases
from storaged.http import reason_of
from storaged.system.clocks import elapsed_s
from storaged.system.parallel import lasting

RENEWAL_S = 5.0
"""How often it is renewed."""
LOOKED_UP_S = 60
"""How long before its download a version may have been looked up."""
_BEGINNING = 0x73706C66
"""The key of the advisory lock that fronts hold while they are registered for the first time."""
_KEPT = "10 minutes"
"""How long a front whose lease has expired is shown to operators, and what it may be reading is not deleted."""
SLOTS = 8
"""The numbers of its connections that each front has."""

# Not now(), which is when the transaction began: this process may have stood still since.
_REGISTER = """INSERT INTO front (id, slot, expires, address, version)
    SELECT %s, coalesce(min(free), 0), clock_timestamp() + %s * interval '1 second', %s, %s
    FROM generate_series(0, 4000) AS free WHERE free NOT IN (SELECT slot FROM front)
    ON CONFLICT (id) DO UPDATE SET expires = excluded.expires
    RETURNING slot"""

# Another front may hold such a row: one that has stood still, and renews its lease after all.
_FORGET = f"""DELETE FROM front WHERE id IN (
    SELECT id FROM front WHERE expires < now() - interval '{_KEPT}' FOR UPDATE SKIP LOCKED)"""

_WHOLE = """SELECT v.upload FROM version v WHERE v.upload = ANY(%s)
    AND NOT EXISTS (SELECT FROM doomed d WHERE d.upload = v.upload)"""
"""The versions of which no part is to be deleted."""

_READS = "UPDATE front SET reads = now() - %s * interval '1 second' WHERE id = %s"


class Registration:
    """The registration of one front.

    :param connect: opens a connection.
    :param front: the id of the front.
    :param address: where the front is, for operators.
    :param version: that of its program.
    :param knows: the version of the schema that it knows; None for that of this program.
    :param upkeep: whether it may have the lease of the upkeep.
    :param before: the id of a front whose process has ended; it counts as gone when this one is registered, and need
        not expire.  Empty for none.
    :ivar epoch: that of the journal which the catalog was copied from; 0 if it was not.
    :ivar held: the leases of tasks that it has.
    :ivar reading: returns the uploads whose versions downloads read now; called in any thread.
    """

    _log = Logger()

    def __init__(
        self,
        connect: Callable[[], Any],
        front: str,
        address: str = "",
        version: str = "",
        knows: int | None = None,
        *,
        upkeep: bool = True,
        before: str = "",
    ) -> None:
        self._connect = connect
        self._front = front
        self._upkeep = upkeep
        self._before = before
        self._told = address, version
        self._knows = newest() if knows is None else knows
        self._slot = 0
        self._ended = False
        self.epoch = 0
        self._leads_always = False
        self._asked_at = -math.inf
        self._reads: dict[str, float] = {}
        self._reads_lock = threading.Lock()
        self.held = HeldLeases(front)
        self._term = 0
        self._looked_s = elapsed_s()
        self.reading: Callable[[], Iterable[str]] = tuple

    def slot(self, number: int) -> int:
        """Return the number of a connection, which no other connection of a front that runs has."""
        return self._slot * SLOTS + number

    def begin(self, reactor: Any, new_id: Callable[[], str], now_ms: int) -> Deferred[None]:
        """Make the catalog if there is none, and register the front.

        :raise CatalogAway: the database does not answer.
        :raise CatalogOutdated: it has another schema than this program needs, or is being copied.
        """

        def begin() -> None:
            with self._connected() as connection:
                if version_of(connection) == 0:
                    connection.rollback()
                    migrate(connection)
                refuse_unknown(connection, self._knows)
                try:
                    hold_off(connection)
                except Excluded as problem:
                    raise CatalogOutdated(str(problem)) from problem
                query = "INSERT INTO catalog (one, cluster) VALUES (1, %s) ON CONFLICT DO NOTHING"
                connection.execute(query, (new_id(),))
                query = """INSERT INTO entry (parent, name, id, created_ms, modified_ms)
                    VALUES (0, '', 1, %s, %s) ON CONFLICT DO NOTHING"""
                connection.execute(query, (now_ms, now_ms))
                connection.execute("INSERT INTO node VALUES (0, '') ON CONFLICT DO NOTHING")
                # Several that begin at the same moment would choose the same slot.
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_BEGINNING,))
                connection.execute("DELETE FROM front WHERE id = %s", (self._before,))
                self.epoch = connection.execute("SELECT epoch FROM catalog").fetchone()[0]
                self.renew(connection)

        return self._in_thread(reactor, begin)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """Return a connection for the length of the block, which waits for the database all the time."""
        connection = self._connect()
        try:
            with connection.waiting():
                yield connection
        finally:
            connection.close()

    def renew_now(self, reactor: Any) -> Deferred[None]:
        """Renew the lease on a connection of its own.

        :raise CatalogAway: the database does not answer.
        """
        return self.change(reactor, self.renew)

    def change(self, reactor: Any, make: Callable[[Any], object]) -> Deferred[None]:
        """Make a change on a connection of its own, which `make` is called with in a thread.

        :return: a Deferred that fires with None when it is committed.  Cancelling it only ends the wait.
        :raise CatalogAway: the database does not answer.
        """

        def change() -> None:
            with self._connected() as connection:
                make(connection)
                connection.commit()

        return self._in_thread(reactor, change)

    def renew(self, connection: Any) -> float:
        """Renew the lease, and commit that.

        :param connection: one in which no transaction is open, or one that is committed as well.
        :return: after how many seconds to do so again.
        :raise Excluded: the catalog is being copied, or has tables by now that this program does not know.
        """
        if self._ended:
            return RENEWAL_S
        hold_off(connection)
        unknown = why_unknown(connection, self._knows)
        if unknown:
            raise Excluded(unknown)
        self._slot = connection.execute(_REGISTER, (self._front, LEASE_S, *self._told)).fetchone()[0]
        self._tell_reads(connection)
        until, renewed = -math.inf, dict[str, float]()
        if self._upkeep:
            self._asked_at = elapsed_s()
            until = self.held.acquire(connection, UPKEEP)
            renewed = self.held.renew(connection, UPKEEP)
            if until > self._asked_at:
                connection.execute(_FORGET)
        connection.commit()  # before that, no lease is sure
        self._term += not self.leads()
        self.held.note(UPKEEP, until)
        self.held.note_renewed(renewed)
        return RENEWAL_S

    def _tell_reads(self, connection: Any) -> None:
        """Tell since when this front may have been reading what it reads now.

        A download that is seen for the first time may have begun just after the look before, however long ago that
        was, and looked its version up before.  As long as no part of a version is to be deleted, it counts as if its
        download had just begun: else a file that somebody reads at any time would keep all that is to be deleted.
        """
        with self._reads_lock:  # each connection that makes changes renews the lease in a thread of its own
            now_s = elapsed_s()
            self._reads = {upload: self._reads.get(upload, self._looked_s) for upload in self.reading()}
            self._looked_s = now_s
            reads = dict(self._reads)
        if reads:
            keys = [bytes.fromhex(upload) for upload in reads]
            whole = {upload.hex(): now_s for (upload,) in connection.execute(_WHOLE, (keys,)).fetchall()}
            reads |= whole
            with self._reads_lock:
                self._reads |= dict.fromkeys(whole.keys() & self._reads.keys(), now_s)
        oldest_s = now_s - min(reads.values(), default=now_s)
        connection.execute(_READS, (oldest_s + LEASE_S + LOOKED_UP_S, self._front))

    def leads(self) -> bool:
        """Whether this front, and no other one, does the upkeep now."""
        return self._leads_always or self.held.has(UPKEEP)

    def term(self) -> int:
        """Return the number of the term for which this front does the upkeep without a break; 0 if it does not."""
        return max(1, self._term) if self.leads() else 0

    def lead(self, reactor: Any) -> Deferred[bool]:
        """Ask whether this front does the upkeep; if its lease is about to expire, renew it before.

        :return: a Deferred that fires with whether it does.
        :raise CatalogAway: the database does not answer.
        """
        if self.leads():
            return succeed(True)
        if elapsed_s() - self._asked_at < RENEWAL_S:
            return succeed(False)  # another one did when it was asked, and it is asked again soon
        return self.renew_now(reactor).addCallback(lambda _: self.leads())

    def end(self, reactor: Any, *, asks: bool = False) -> Deferred[None]:
        """Let the front count as gone; if the database is away, that is so when the lease has expired."""

        def end() -> None:
            self._ended = True
            self._leads_always = asks
            self.held.forget(UPKEEP)
            try:
                with self._connected() as connection:
                    connection.execute("DELETE FROM lease WHERE front = %s", (self._front,))
                    connection.execute("DELETE FROM front WHERE id = %s", (self._front,))
                    connection.commit()
            except psycopg.Error as problem:
                self._log.info("catalog: the lease of this front will expire by itself: {why}", why=problem)

        return self._in_thread(reactor, end)

    @staticmethod
    def _in_thread(reactor: Any, call: Callable[[], None]) -> Deferred[None]:
        done: Deferred[None] = Deferred()

        def run() -> None:
            outcome: Failure | None = None
            try:
                call()
            except Excluded as problem:
                outcome = Failure(CatalogAway(str(problem)))
            except psycopg.Error as problem:
                outcome = Failure(CatalogAway(f"the catalog's database does not answer: {reason_of(problem)}"))
            except Exception:
                outcome = Failure()
            reactor.callFromThread(done.callback, outcome)

        threading.Thread(target=run, name="catalog-registration", daemon=True).start()
        return done


@implementer(ILeases)
class StoredLeases:
    """The leases of one front; its registration renews them.

    :param reactor: calls back from threads.
    """

    _log = Logger()

    def __init__(self, registration: Registration, reactor: Any) -> None:
        self._registration = registration
        self._held = registration.held
        self._reactor = reactor
        self._order = DeferredLock()  # a release must not come after a later acquisition

    def hold(self, task: str) -> Deferred[bool]:
        """Acquire a lease, or make sure that this front still has it; see `ILeases.hold`."""
        if task == UPKEEP:
            return self._registration.lead(self._reactor)
        if self._held.has(task) and not self._order.locked:  # else it may be about to be released
            return succeed(True)
        return lasting(self._order.run(self._acquire, task))

    def _acquire(self, task: str) -> Deferred[bool]:
        until: list[float] = []

        def acquired(_: None) -> bool:
            self._held.note(task, until[0])
            return self._held.has(task)

        acquire = partial(self._held.acquire, task=task)
        done = self._registration.change(self._reactor, lambda connection: until.append(acquire(connection)))
        return done.addCallback(acquired)

    def release(self, task: str) -> Deferred[None]:
        """Release a lease; see `ILeases.release`."""
        if task == UPKEEP:
            return succeed(None)
        self._held.forget(task)
        return lasting(self._order.run(self._release, task))

    def _release(self, task: str) -> Deferred[None]:
        self._held.forget(task)  # an acquisition that was in progress has ended by now

        def failed(failure: Failure) -> None:
            failure.trap(CatalogAway)
            self._log.info("catalog: the lease of {task} will expire by itself: {why}", task=task, why=failure.value)

        done = self._registration.change(self._reactor, lambda connection: self._held.release(connection, task))
        return done.addErrback(failed)
