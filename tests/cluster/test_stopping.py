from __future__ import annotations

import pytest_twisted

from tests.cluster.cluster import Cluster


@pytest_twisted.ensureDeferred
async def test_servers_stop_while_clients_are_connected(cluster: Cluster) -> None:
    assert (await cluster.ask("PUT", "/file", b"bytes")).code == 201
    # The client's connection, and the front's to the nodes, are kept open and idle.
    await cluster.nodes[0].stop()
    await cluster.stop_front()
    await cluster.nodes[0].start()
    await cluster.start_front()
    assert (await cluster.ask("GET", "/file")).body == b"bytes"
