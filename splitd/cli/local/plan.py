"""The plan of a local cluster: its daemons, their ports, and the contents of their configuration files.  Pure.

    DIR/cluster.key                  the key that all daemons share
    DIR/s3.key                       the access key and the secret key for S3, if there are no users
    DIR/nodes.yaml                   the registry
    DIR/front/splitd.yaml, data/     the front
    DIR/nodes/nX/storaged.yaml, data/  a storage server
    DIR/log/NAME.log                 the output of a daemon
    DIR/cluster.json                 exists while the cluster is ready: URLs and process ids
    DIR/up.lock                      locked by the `splitctl up` that runs here; holds its process id

Ports: the front P, its operators' HTTP P + 1, S3 P + 2, node nX P + 10 + X.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from collections.abc import Set as SetOf
from pathlib import Path

import attrs

HOST = "127.0.0.1"
FRONT = "front"
REGISTRY = "nodes.yaml"
KEY = "cluster.key"
S3_KEY = "s3.key"
NODE_CONFIG = "storaged.yaml"
FRONT_CONFIG = "splitd.yaml"
LEAST_NODES = 6
_NODE_ID = re.compile(r"\An([1-9][0-9]{0,4})\Z")
_HIGHEST_PORT = 65535


@attrs.frozen
class NodePlan:
    """One storage server of a local cluster.

    :param number: X in its id nX.
    :param port: the port that it listens on.
    :param folder: the folder of its configuration file and its data.
    :param key: the path of the cluster key.
    """

    number: int
    port: int
    folder: Path
    key: Path

    @property
    def node_id(self) -> str:
        """Its id."""
        return f"n{self.number}"

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://{HOST}:{self.port}"

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.folder / NODE_CONFIG

    @property
    def data(self) -> Path:
        """The folder of its parts."""
        return self.folder / "data"

    def settings(self) -> dict[str, str]:
        """Return the settings in its configuration file."""
        return {
            "node": self.node_id,
            "data": str(self.data),
            "listen": _endpoint(self.port),
            "cluster_key_file": str(self.key),
        }


@attrs.frozen
class ClusterPlan:
    """A local cluster.

    :param folder: its folder, an absolute path.
    :param port: the front's port.
    :param numbers: X of each node nX.
    :param layout: how new files are cut, as "6+2"; empty to leave that as it is.
    :param users: the path of the file of the users; empty to leave that as it is.
    :param catalog: where names are kept; empty to leave that as it is.
    :param workers: how many processes of the front serve clients; empty to leave that as it is.
    """

    folder: Path
    port: int
    numbers: tuple[int, ...]
    layout: str = ""
    users: str = ""
    catalog: str = ""
    workers: str = ""

    def __attrs_post_init__(self) -> None:
        highest = _node_port(self.port, max(self.numbers, default=0))
        if self.port < 1 or highest > _HIGHEST_PORT:
            raise ValueError(f"ports {self.port} to {highest} do not all lie in 1 to {_HIGHEST_PORT}")

    @property
    def key(self) -> Path:
        """The file of the cluster key."""
        return self.folder / KEY

    @property
    def s3_key(self) -> Path:
        """The file of the key for S3; it is of no use if there are users."""
        return self.folder / S3_KEY

    @property
    def registry(self) -> Path:
        """The file of the registry."""
        return self.folder / REGISTRY

    @property
    def config(self) -> Path:
        """The front's configuration file."""
        return self.folder / FRONT / FRONT_CONFIG

    @property
    def data(self) -> Path:
        """The folder of the front's journal."""
        return self.folder / FRONT / "data"

    @property
    def url(self) -> str:
        """The URL of the files."""
        return f"http://{HOST}:{self.port}"

    @property
    def admin(self) -> str:
        """The URL of the operators' HTTP."""
        return f"http://{HOST}:{self.port + 1}"

    @property
    def s3(self) -> str:
        """The URL for programs made for S3."""
        return f"http://{HOST}:{self.port + 2}"

    @property
    def nodes(self) -> tuple[NodePlan, ...]:
        """The storage servers."""
        return tuple(
            NodePlan(number, _node_port(self.port, number), node_folder(self.folder, f"n{number}"), self.key)
            for number in self.numbers
        )

    def log_of(self, name: str) -> Path:
        """Return the file that has the output of a daemon."""
        return self.folder / "log" / f"{name}.log"

    def settings(self) -> dict[str, str | int]:
        """Return the settings in the front's configuration file."""
        return {
            "data": str(self.data),
            "listen": _endpoint(self.port),
            "admin": _endpoint(self.port + 1),
            "s3": _endpoint(self.port + 2),
            "s3_key_file": str(self.s3_key),
            "registry": str(self.registry),
            "cluster_key_file": str(self.key),
            **({"layout": self.layout} if self.layout else {}),
            **({"users": self.users} if self.users else {}),
            **({"catalog": self.catalog} if self.catalog else {}),
            **({"workers": self._workers()} if self.workers else {}),
        }

    def _workers(self) -> str | int:
        return int(self.workers) if self.workers.isdigit() else self.workers

    def ports(self) -> dict[int, str]:
        """Return the name of the daemon that needs each port."""
        return {
            self.port: "the front",
            self.port + 1: "the operators' HTTP",
            self.port + 2: "S3",
            **{node.port: f"node {node.node_id}" for node in self.nodes},
        }


def node_folder(folder: Path, node_id: str) -> Path:
    """Return the folder of one of the cluster's own nodes."""
    return folder / "nodes" / node_id


def choose_numbers(count: int, registered: SetOf[str], own: SetOf[str]) -> tuple[int, ...]:
    """Choose the nodes to run: all of the cluster's own ones, and new ones up to `count`.

    :param registered: the ids in the registry.  A new node gets none of them.
    :param own: the ids of the cluster's own nodes, registered or not yet.
    """
    return tuple(sorted(_with_more(numbers_of(own), count, registered)))


def choose_next(count: int, registered: SetOf[str], own: SetOf[str], joined: SetOf[str]) -> tuple[int, ...]:
    """Choose the nodes to add: first the cluster's own ones that have not joined yet, then new ones.

    :param count: how many.
    :param registered: the ids in the registry.
    :param own: the ids of the cluster's own nodes, registered or not yet.
    :param joined: the ids of the nodes that the front knows.
    """
    begun = sorted(numbers_of(own - joined))[:count]
    return tuple(_with_more(begun, count, registered | own | joined))


def numbers_of(node_ids: Iterable[str]) -> set[int]:
    """Return X of each id nX; ids of other forms are skipped."""
    return {int(match[1]) for node_id in node_ids if (match := _NODE_ID.match(node_id))}


def _with_more(numbers: Iterable[int], count: int, taken: SetOf[str]) -> list[int]:
    chosen = list(numbers)
    free = (number for number in itertools.count(1) if number not in chosen and f"n{number}" not in taken)
    return [*chosen, *itertools.islice(free, max(count - len(chosen), 0))]


def _node_port(port: int, number: int) -> int:
    return port + 10 + number


def _endpoint(port: int) -> str:
    return f"tcp:{port}:interface={HOST}"
