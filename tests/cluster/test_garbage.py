"""A request that has ended is freed at once.

Objects in a cycle stay until a garbage collection, which is rare; the buffers that they refer to stay with them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted

from storaged.http import StreamingRequest
from storaged.parts.format import SMALL_PART
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.garbage import garbage

UNIT = 64 * 1024
SMALL, LARGE = b"a" * 1000, b"a" * (10 * SMALL_PART)


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda cluster: cluster.put("/small", SMALL), id="PUT of a small file"),
        pytest.param(lambda cluster: cluster.put("/large", LARGE), id="PUT of a large file"),
        pytest.param(lambda cluster: cluster.get("/small"), id="GET of a small file"),
        pytest.param(lambda cluster: cluster.get("/large"), id="GET of a large file"),
        pytest.param(lambda cluster: cluster.status(), id="GET of the status"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_request_that_was_answered_is_freed_at_once(
    make_cluster: Callable[..., Cluster], ask: Callable[[Cluster], Awaitable[Any]]
) -> None:
    cluster = make_cluster(small_part=Size(SMALL_PART), unit=UNIT)
    await cluster.start()
    await cluster.put("/small", SMALL)
    await cluster.put("/large", LARGE)
    await ask(cluster)
    with garbage() as found:
        for _ in range(10):
            await ask(cluster)
        await cluster.status()  # the last ones may be on their way still
    assert found[StreamingRequest] <= 1
