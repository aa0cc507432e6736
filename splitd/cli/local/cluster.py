"""The daemons of a local cluster, from the start of the first until all are ready."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from splitd.cli.errors import CommandFailed
from splitd.cli.local.daemon import Daemon
from splitd.cli.local.plan import FRONT, HOST, ClusterPlan
from splitd.cli.local.supervisor import Bell
from splitd.cli.server import Server

_READY_S = 60.0
_LOOK_S = 0.1
_ANSWER_S = 5.0
_PORTS_S = 2.0
_LINES = 20


class StartFailed(CommandFailed):
    """The cluster did not get ready; the message says why."""


class LocalCluster:
    """The daemons of a plan.

    :param ringing: ends the waiting when a signal says stop.
    """

    def __init__(self, plan: ClusterPlan, ringing: Bell) -> None:
        self._plan = plan
        self._bell = ringing
        self.front = Daemon(FRONT, ["splitd", "--config", str(plan.config)], plan.folder / "log" / "front.log")
        self.nodes = [
            Daemon(
                node.node_id,
                ["storaged", "--config", str(node.config)],
                plan.folder / "log" / f"{node.node_id}.log",
            )
            for node in plan.nodes
        ]

    def pids(self) -> dict[str, int]:
        """The process ids, by name."""
        return {daemon.name: daemon.pid for daemon in [self.front, *self.nodes]}

    def start(self) -> bool:
        """Start all daemons and wait until they are ready.

        The front comes last: the first look it takes at its nodes finds them.

        :return: whether they are; false where a signal said stop.
        :raise StartFailed: one ended, or is not ready in time.  The others still run.
        """
        deadline = time.monotonic() + _READY_S
        for daemon in self.nodes:
            daemon.start()
        looks = [(daemon, node.url, "/health") for daemon, node in zip(self.nodes, self._plan.nodes, strict=True)]
        if not all(self._wait(*look, deadline) for look in looks):
            return False
        self.front.start()
        looks = [(self.front, self._plan.admin, "/ready"), (self.front, self._plan.url, "/")]
        return all(self._wait(*look, deadline) for look in looks)

    def _wait(self, daemon: Daemon, url: str, path: str, deadline: float) -> bool:
        server = Server(url, connect_s=_ANSWER_S, stall_s=_ANSWER_S)
        while not self._bell.stopped:
            try:
                with server.ask("GET", path):
                    return True
            except CommandFailed as failure:
                reason = failure.message
            for other in [self.front, *self.nodes]:
                if ended := other.ended():
                    raise StartFailed(f"{other.name} ended: {ended}{_last_words(other)}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{daemon.name} is not ready after {_READY_S:.0f} s: {reason}{_last_words(daemon)}")
            self._bell.wait(_LOOK_S)
        return False


def refuse_taken_ports(plan: ClusterPlan, ringing: Bell) -> None:
    """Check that every port of a plan is free.

    It looks again for a moment: daemons of a `splitctl up` that was killed just now may still be on their way out.

    :raise StartFailed: some are taken.
    """
    deadline = time.monotonic() + _PORTS_S
    while taken := [f"{port} ({user})" for port, user in plan.ports().items() if _is_taken(port)]:
        if time.monotonic() > deadline or ringing.stopped:
            raise StartFailed(f"taken on {HOST}: {_listed(taken)}; choose others with --port")
        ringing.wait(_LOOK_S)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def _listed(ports: Sequence[str]) -> str:
    return ("port " if len(ports) == 1 else "ports ") + ", ".join(ports)


def _last_words(daemon: Daemon) -> str:
    lines = daemon.last_lines(_LINES)
    return f"\nThe end of {daemon.output}:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""
