"""The surroundings of a step: the service, and the tour's names in it."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from splitd.cli.demo.files import Files, Sample
from splitd.cli.demo.own_cluster import OwnCluster
from splitd.cli.demo.report import Report
from splitd.cli.local.plan import LEAST_NODES
from splitd.cli.server import Server
from splitd.cli.tree import RemoteTree
from splitd.model.striping import Layout

_STALL_S = 60.0

PLAIN = Layout(6, 0, 1)
"""The layout without parity; the unit does not matter here."""


@attrs.define
class Scene:
    """The service, and the names that the tour uses in it.

    :param sample: the file that is stored and read.
    :param cluster: the tour's own cluster; None if the service is not the tour's own.
    :param service: the URL of the service that is not the tour's own.
    :param collection: the collection that has all files of the tour.
    :param layout: how the files of the tour are cut, if the cluster is the tour's own.
    :param login: the value of the `Authorization` header for a service that is not the tour's own; empty for none.
    :param versions: the ids of the uploads of the files that later steps need, by name.
    :param made: whether the collection was made.
    """

    sample: Sample
    cluster: OwnCluster | None
    service: str
    collection: str
    layout: Layout = PLAIN
    login: str = attrs.field(default="", repr=False)
    versions: dict[str, str] = attrs.Factory(dict)
    made: bool = False

    @property
    def own(self) -> OwnCluster:
        """The tour's own cluster.  Only for steps that need one."""
        assert self.cluster is not None
        return self.cluster

    @property
    def nodes(self) -> int:
        """How many storage servers the tour's own cluster begins with."""
        return max(LEAST_NODES, self.layout.width)

    @property
    def url(self) -> str:
        """The URL of the service."""
        return (self.service if self.cluster is None else self.cluster.url).rstrip("/")

    @property
    def files(self) -> Files:
        """The service's files."""
        return Files(Server(self.url, stall_s=_STALL_S, authorization=self.login))

    def path(self, name: str) -> str:
        """Return the path of one of the tour's files."""
        return f"{self.collection}/{name}"

    def make_collection(self) -> None:
        """Make the tour's collection."""
        RemoteTree(self.files.front).make(self.collection)
        self.made = True

    def link(self, name: str) -> str:
        """Return the URL of one of the tour's files."""
        return self.url + self.path(name)


@attrs.frozen
class Step:
    """A step of the tour.

    :param why: what the step does, and why it matters.
    :param needs: what it needs of the tour's own cluster; empty if it can run on any service.
    """

    title: str
    why: str
    run: Callable[[Scene, Report], None]
    needs: str = ""
