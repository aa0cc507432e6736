"""The files that the front reads again when they change, besides the registry and the users: keys and certificates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.access.secrets import Seal
from splitd.config import Config
from storaged.http import NodeConnections, NodeTrust
from storaged.http.certificates import read_authorities
from storaged.http.tls import CertificateFolders
from storaged.parts.proofs import ClusterKeys
from storaged.system.settings import read_cluster_keys
from storaged.system.watching import WatchedFiles, load_all, sign_file


class OwnFiles:
    """The cluster keys, the authorities that sign the nodes' certificates, and the front's own certificates.

    :param keys: the cluster keys, which are kept up to date.
    :param seal: seals the secrets of users under them.
    :param trust: the authorities, which are kept up to date.
    :param connections: those to the nodes; they are made anew when the cluster keys change.
    :param certificates: keeps the certificates of the endpoints with TLS.
    :param run: runs a call in a thread.
    :ivar more: files that others watch, which are read with these.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        keys: ClusterKeys,
        seal: Seal,
        trust: NodeTrust,
        connections: NodeConnections,
        certificates: CertificateFolders,
        run: Callable[[Callable[[], Any]], Deferred[Any]],
        clock: IReactorTime,
    ) -> None:
        self.more: list[WatchedFiles[Any]] = []
        self._keys = keys
        self._seal = seal
        self._connections = connections
        self._certificates = certificates
        self._renewing: Deferred[None] | None = None
        ca, key_file = config.node_ca, config.cluster_key_file
        self._files: list[WatchedFiles[Any]] = []
        if ca:
            self._files.append(
                WatchedFiles(
                    "the authorities of the nodes",
                    lambda: sign_file(ca),
                    lambda: read_authorities(ca),
                    trust.take,
                    run,
                    clock,
                )
            )
        if key_file:
            self._files.append(
                WatchedFiles(
                    "the cluster keys",
                    lambda: sign_file(key_file),
                    lambda: read_cluster_keys(key_file),
                    self._take_keys,
                    run,
                    clock,
                )
            )

    async def start(self) -> None:
        """Read the keys and the authorities, and watch their files."""
        for each in self._files:
            await each.load()
            each.start()

    async def stop(self) -> None:
        """Watch no files any more."""
        for each in self._files:
            await each.stop()

    async def load(self) -> list[str]:
        """Read all files again.

        :return: why some of them are not taken.
        """
        return await load_all([*(folder.files for folder in self._certificates.all()), *self._files, *self.more])

    def stop_renewing(self) -> None:
        """End the renewal of the connections to the nodes, if there is one."""
        if self._renewing is not None:
            self._renewing.cancel()

    def _take_keys(self, keys: Sequence[str]) -> None:
        if keys == self._keys.all():
            return
        self._keys.take(keys)
        self._seal.take(*keys)
        self.stop_renewing()
        self._renewing = Deferred.fromCoroutine(self._renew()).addErrback(self._not_renewed)

    async def _renew(self) -> None:
        await self._connections.renew()
        self._log.info("all connections to the nodes are made anew, with the first cluster key")

    def _not_renewed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("making the connections to the nodes anew", failure)
