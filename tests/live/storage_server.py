"""Starts a storage server as an operator does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from splitd.cli.local.daemon import DaemonProcess
from tests.live.clients import ask
from tests.live.local_cluster import LocalCluster
from tests.live.processes import wait_until
from tests.ports import free_ports


@contextmanager
def storage_server(cluster: LocalCluster, folder: Path, node: str, key: str = "", **settings: object) -> Iterator[str]:
    """Start a storage server that is in no registry yet; yield its URL.

    :param key: its cluster key; empty for the cluster's.
    :param settings: more keys of its configuration file.
    """
    port = free_ports()
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "key").write_text(key or (cluster.folder / "cluster.key").read_text())
    settings |= {"node": node, "data": str(folder / "data"), "listen": f"tcp:{port}:interface=127.0.0.1"}
    config = folder / "storaged.yaml"
    config.write_text(yaml.safe_dump({**settings, "cluster_key_file": str(folder / "key")}))
    daemon = DaemonProcess(node, ["storaged", "--config", str(config)], folder / "log")
    daemon.start()
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: ask(f"{url}/health").status == 200, "a storage server", (folder / "log").read_text)
        yield url
    finally:
        daemon.send(signal.SIGTERM)
        assert daemon.wait(60)
