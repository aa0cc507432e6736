"""What a step works with."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from splitd.cli.demo.files import Files, Sample
from splitd.cli.demo.own_cluster import OwnCluster
from splitd.cli.demo.report import Report
from splitd.cli.server import Server
from splitd.cli.tree import RemoteTree

_STALL_S = 60.0


@attrs.define
class Scene:
    """The service, and the names that the tour uses in it.

    :param sample: the file that goes in and out.
    :param cluster: the tour's own; None where the service is somebody else's.
    :param service: where that one is.
    :param collection: where all files of the tour lie.
    :param versions: the upload behind each file that later steps look at.
    :param made: whether the collection was made.
    """

    sample: Sample
    cluster: OwnCluster | None
    service: str
    collection: str
    versions: dict[str, str] = attrs.Factory(dict)
    made: bool = False

    @property
    def own(self) -> OwnCluster:
        """The tour's own cluster.  Only for steps that need one."""
        assert self.cluster is not None
        return self.cluster

    @property
    def url(self) -> str:
        """Where the service is now."""
        return (self.service if self.cluster is None else self.cluster.url).rstrip("/")

    @property
    def files(self) -> Files:
        """The service's files."""
        return Files(Server(self.url, stall_s=_STALL_S))

    def path(self, name: str) -> str:
        """The path of a file of the tour."""
        return f"{self.collection}/{name}"

    def make_collection(self) -> None:
        """Make the tour's collection."""
        RemoteTree(self.files.front).make(self.collection)
        self.made = True

    def link(self, name: str) -> str:
        """The URL of a file of the tour."""
        return self.url + self.path(name)


@attrs.frozen
class Step:
    """A step of the tour.

    :param why: what is going to happen, and why it matters.
    :param needs: what of a cluster of its own it needs; empty where any service will do.
    """

    title: str
    why: str
    run: Callable[[Scene, Report], None]
    needs: str = ""
