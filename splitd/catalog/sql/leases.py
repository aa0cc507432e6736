"""The leases of the tasks that one front at a time does, in a database."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import Any

from splitd.catalog.sql.front_rows import LEASE_S as FRONT_LEASE_S
from storaged.system.clocks import elapsed_s

TASK_LEASE_S = 16
"""How long the lease of a task lasts without being renewed; shorter than that of the front itself."""
MARGIN_S = 8
"""A front relies on the lease of a task only so long before its end, and others take it so long after its end: then
nothing that was begun under it is on its way any more.
"""
assert TASK_LEASE_S < FRONT_LEASE_S

# Not now(), which is when the transaction began: this process may have stood still since.
ACQUIRE = """INSERT INTO lease (task, front, expires) VALUES (%s, %s, clock_timestamp() + %s * interval '1 second')
    ON CONFLICT (task) DO UPDATE SET front = excluded.front, expires = excluded.expires
    WHERE lease.front = excluded.front OR lease.expires + %s * interval '1 second' < clock_timestamp()
    RETURNING front"""

_RENEW = """UPDATE lease SET expires = clock_timestamp() + %s * interval '1 second' WHERE task IN (
        SELECT task FROM lease WHERE front = %s AND task = ANY(%s) ORDER BY task FOR UPDATE)
    RETURNING task"""


class HeldLeases:
    """The leases that one front has.  Its methods may be called in any thread.

    :param front: the id of the front.
    """

    def __init__(self, front: str) -> None:
        self._front = front
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}  # by task: how long to rely on its lease, in seconds of the process's clock

    def has(self, task: str) -> bool:
        """Whether this front, and no other one, has the lease now, as far as is known without asking."""
        with self._lock:
            return elapsed_s() < self._until.get(task, -math.inf)

    def acquire(self, connection: Any, task: str) -> float:
        """Acquire a lease, if no other front has it.  It blocks.

        :return: what to `note` when that is committed: before, a renewal would not see it, and take it for lost.
        """
        asked_at = elapsed_s()
        row = connection.execute(ACQUIRE, (task, self._front, TASK_LEASE_S, MARGIN_S)).fetchone()
        return -math.inf if row is None else asked_at + TASK_LEASE_S - MARGIN_S

    def note(self, task: str, until: float) -> None:
        """Rely on a lease.

        :param until: what `acquire` has returned.
        """
        with self._lock:
            self._until[task] = until
            if until == -math.inf:
                del self._until[task]

    def renew(self, connection: Any, *but: str) -> dict[str, float]:
        """Renew all leases that this front has.  It blocks.

        :param but: tasks whose leases are renewed otherwise.
        :return: what to `note_renewed` when that is committed: before, it is not sure.
        """
        with self._lock:
            tasks = sorted(self._until.keys() - set(but))
        if not tasks:
            return {}
        asked_at = elapsed_s()
        # A lease that was released meanwhile has no row any more, and gets none.
        renewed = {task for (task,) in connection.execute(_RENEW, (TASK_LEASE_S, self._front, tasks)).fetchall()}
        return {task: asked_at + TASK_LEASE_S - MARGIN_S if task in renewed else -math.inf for task in tasks}

    def note_renewed(self, until: Mapping[str, float]) -> None:
        """Rely on leases, but for those that were forgotten meanwhile.

        :param until: what `renew` has returned.
        """
        with self._lock:
            for task in self._until.keys() & until.keys():
                self._until[task] = until[task]

    def forget(self, task: str) -> None:
        """Rely on a lease no more."""
        with self._lock:
            self._until.pop(task, None)

    def release(self, connection: Any, task: str) -> None:
        """Let others acquire a lease at once.  It blocks."""
        connection.execute("DELETE FROM lease WHERE task = %s AND front = %s", (task, self._front))
