"""The processes of a front with workers, as the system shows them."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.live.clients import TIMEOUT_S
from tests.live.killed_cluster import KilledCluster
from tests.live.local_cluster import FRONT
from tests.live.processes import is_running, wait_until
from tests.live.remembering import Client

_MOST_CONNECTIONS = 500
"""So many connections, one after the other, reach each worker, or one of them does not accept any."""


def children_of(head: int) -> set[int]:
    """The processes that a process has started."""
    return {int(each) for each in Path(f"/proc/{head}/task/{head}/children").read_text().split()}


def workers_in(status: Any) -> list[int]:
    """The processes that serve clients, by the status of the front; none while it does not answer."""
    found: list[int] = status.get("workers", [])
    return found


def catalog_of(head: int, workers: list[int]) -> int:
    """The process that keeps the catalog: the child of the front that is no worker."""
    [catalog] = children_of(head) - set(workers)
    return catalog


def kill_in_turn(
    cluster: KilledCluster,
    clients: Sequence[Client],
    order: Sequence[str],
    chance: random.Random,
    *,
    workers: int,
    longest_s: float = 0.0,
    others: Mapping[str, Callable[[], object]] | None = None,
) -> None:
    """Kill processes of a front with workers, or other daemons, one after the other.

    Before each, all workers serve, all nodes are up, and clients have stored more files than there were kills.

    :param order: what to kill: "worker", "catalog" (the process that keeps it), "head", "node", or one of `others`.
    :param workers: how many workers the front has.
    :param longest_s: the longest pause before each, in seconds; how long it is, is left to chance.
    :param others: what kills something else, by its name.
    """
    kill: dict[str, Callable[[], object]] = {
        "head": lambda: _kill_head(cluster),
        "node": lambda: cluster.kill(chance.choice(cluster.nodes)),
        **(others or {}),
    }
    killed: set[int] = set()

    def all_serve() -> bool:
        # One that was just killed is among them until the catalog's process has noticed it.
        return len({*workers_in(cluster.status())} - killed) == workers

    for number, which in enumerate(order):
        cluster.wait_ready()
        wait_until(all_serve, "all workers", cluster.status)
        # On a slow machine the daemons are hardly up between two kills.
        wait_until(lambda least=number: sum(client.stored for client in clients) > least, "files stored")  # type: ignore[misc]
        threading.Event().wait(chance.uniform(0, longest_s))
        if which in kill:
            kill[which]()
            continue
        serving = workers_in(cluster.status())
        pid = chance.choice(serving) if which == "worker" else catalog_of(cluster.daemons[FRONT].pid, serving)
        killed.add(pid)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda gone=pid: not is_running(gone), "the end of the process")  # type: ignore[misc]
    cluster.wait_ready()


def _kill_head(cluster: KilledCluster) -> None:
    """Kill the front's process that starts the others, which end with it, and start it again."""
    children = children_of(cluster.daemons[FRONT].pid)
    cluster.take_down(FRONT)
    wait_until(lambda: not any(map(is_running, children)), "the end of the others")
    cluster.bring_up(FRONT)


def owner_of(client: socket.socket, pids: list[int]) -> int:
    """The process that has accepted a connection; 0 while none of them has."""
    inode = _inode_of(client)
    for pid in pids:
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # it was closed meanwhile
                if inode and str(each.readlink()) == f"socket:[{inode}]":
                    return pid
    return 0


def _inode_of(client: socket.socket) -> str:
    """The number of the other end of a connection in the system's tables; empty while nobody has accepted it."""
    here, there = (f":{end[1]:04X}" for end in (client.getsockname(), client.getpeername()))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, _, _, _, _, _, inode, *_ = line.split()
        if local.endswith(there) and remote.endswith(here):
            return "" if inode == "0" else inode
    return ""


@contextmanager
def connections_of_each(port: int, workers: list[int], count: int) -> Iterator[dict[int, list[socket.socket]]]:
    """Connect until each worker has so many connections; close all in the end."""
    with ExitStack() as stack:
        found: dict[int, list[socket.socket]] = {pid: [] for pid in workers}
        for _ in range(_MOST_CONNECTIONS):
            if min(map(len, found.values())) >= count:
                break
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), TIMEOUT_S))
            owner = wait_until(lambda client=client: owner_of(client, workers), "somebody accepts it")  # type: ignore[misc]
            found[owner].append(client)
        else:
            shares = {pid: len(of_one) for pid, of_one in found.items()}
            raise AssertionError(f"{_MOST_CONNECTIONS} connections are spread as {shares}, each should have {count}")
        yield found


def read_head(client: socket.socket) -> bytes:
    """Read the head of an answer without a body."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        data += _some(client)
    return data


def value_of(name: bytes, head: bytes) -> str:
    """Return the value of a header; empty if there is none.

    :param name: in lower case.
    """
    for line in head.split(b"\r\n"):
        got, _, value = line.partition(b":")
        if got.lower() == name:
            return value.strip().decode()
    return ""


def wait_for_end(client: socket.socket) -> None:
    """Wait until the other side ends a connection, by whatever sign; it must send nothing more."""
    try:
        assert client.recv(1) == b""
    except ConnectionResetError:
        return


def read_answer(client: socket.socket) -> tuple[bytes, bytes]:
    """Read an answer of known length; return its head and its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(client)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(value_of(b"content-length", head) or 0)
    while len(body) < length:
        body += _some(client)
    return head, body


def _some(client: socket.socket) -> bytes:
    data = client.recv(1 << 20)
    assert data, "the connection was closed"
    return data
