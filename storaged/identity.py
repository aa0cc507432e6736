"""The identity of a node: its id, its cluster and the id of its disk, each written once to the node's folder.

The id is set at the first start.  The cluster is that of the first front that sends the right key.  Afterwards neither
changes, so a folder mounted in the wrong place is refused, and so is a front that lost its journal and made a new
cluster.  The id of the disk is made at the first start in a folder: by it the front notices that a node has an empty
disk in place of the one that held its parts.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool

from storaged.parts.errors import WrongNode
from storaged.system.filesystem import UNFINISHED, new_file
from storaged.system.interfaces import IFilesystem

_VERSION = 1


def new_disk_id() -> str:
    """Make an id that no other disk has: 32 hexadecimal digits."""
    return uuid.uuid4().hex


class Identity:
    """A node's id, cluster and disk, kept in `identity.json`.

    :param folder: the node's folder.
    :param new_id: makes the id of a disk.
    :ivar disk: the id of the disk; empty before `load`.
    """

    def __init__(
        self,
        folder: str,
        node_id: str,
        filesystem: IFilesystem,
        pool: Any,
        reactor: Any,
        new_id: Callable[[], str] = new_disk_id,
    ) -> None:
        self.node_id = node_id
        self.cluster = ""
        self.disk = ""
        self._new_id = new_id
        self._path = os.path.join(folder, "identity.json")  # noqa: PTH118 - the seam speaks text
        self._folder = folder
        self._filesystem = filesystem
        self._pool = pool
        self._reactor = reactor
        self._lock = DeferredLock()

    def load(self) -> None:
        """Read the identity, or write it at the first start.  Blocks.

        :raise WrongNode: the folder belongs to a different node, or has a format that this program does not know.
        """
        try:
            file = self._filesystem.open(self._path, "read")
        except FileNotFoundError:
            self.disk = self._new_id()
            self._write("")
            return
        try:
            kept = json.loads(file.read_at(0, file.size))
        finally:
            file.close()
        if kept["version"] != _VERSION:
            raise WrongNode(f"{self._path}: version {kept['version']}, this program knows {_VERSION}")
        if kept["node"] != self.node_id:
            raise WrongNode(f"{self._folder} belongs to node {kept['node']}, not to {self.node_id}")
        self.cluster, self.disk = kept["cluster"], kept.get("disk", "")
        if not self.disk:  # an older storaged wrote it
            self.disk = self._new_id()
            self._write(self.cluster)

    def _write(self, cluster: str) -> None:
        kept = {"version": _VERSION, "node": self.node_id, "cluster": cluster, "disk": self.disk}
        with suppress(FileNotFoundError):  # it exists only if a crash interrupted the lines below
            self._filesystem.remove(self._path + UNFINISHED)
        with new_file(self._filesystem, self._folder, self._path) as file:
            file.write([json.dumps(kept).encode() + b"\n"])

    def check(self, node_id: str | None, cluster: str | None) -> Deferred[None] | None:
        """Refuse a request that is not meant for this node.

        :param node_id: the node that the request names, if any.
        :param cluster: the cluster that the request names, if any.
        :return: None if the request is accepted; for the first cluster, a Deferred that fires with None when the
            cluster is written down and the request accepted.
        :raise WrongNode: the request names a different node, or a different cluster.
        """
        if node_id is not None and node_id != self.node_id:
            raise WrongNode(f"this is node {self.node_id}")
        if cluster and not self.cluster:
            return Deferred.fromCoroutine(self._join(cluster))
        self._check_cluster(cluster)
        return None

    async def _join(self, cluster: str) -> None:
        await self._lock.acquire()
        try:
            if not self.cluster:
                await deferToThreadPool(self._reactor, self._pool, self._write, cluster)
                self.cluster = cluster
        finally:
            self._lock.release()
        self._check_cluster(cluster)

    def _check_cluster(self, cluster: str | None) -> None:
        if cluster and cluster != self.cluster:
            raise WrongNode(f"belongs to cluster {self.cluster}, not to {cluster}")
