"""Starts the daemons of a local cluster, and waits until all are ready."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from splitd.cli.errors import CommandFailed, PortTaken
from splitd.cli.local.daemon import DaemonProcess, last_lines
from splitd.cli.local.plan import FRONT, HOST, ClusterPlan, NodePlan
from splitd.cli.local.supervisor import Signals
from splitd.cli.server import Server

_READY_S = 60.0
_LOOK_S = 0.1
_ANSWER_S = 5.0
_PORTS_S = 2.0
_LINES = 20
_NOTHING: Mapping[str, str] = {}


class StartFailed(CommandFailed):
    """A daemon did not become ready; the message says why."""


class LocalCluster:
    """The daemons of a plan.

    :param signals: the signals that this process receives; a stop signal ends the waiting.
    """

    def __init__(self, plan: ClusterPlan, signals: Signals) -> None:
        self.plan = plan
        self._signals = signals
        self.front = DaemonProcess(FRONT, ["splitd", "--config", str(plan.config)], plan.log_of(FRONT))
        self.nodes = [self._storaged(node) for node in plan.nodes]

    def _storaged(self, node: NodePlan) -> DaemonProcess:
        return DaemonProcess(node.node_id, ["storaged", "--config", str(node.config)], self.plan.log_of(node.node_id))

    def pids(self) -> dict[str, int]:
        """Return the process ids, by name."""
        return {daemon.name: daemon.pid for daemon in [self.front, *self.nodes]}

    def start(self) -> bool:
        """Start all daemons and wait until they are ready.

        The front starts last, so that its first poll finds its nodes.  It counts as ready when files can be read,
        because a store that is full must start, too.

        :return: whether they are ready; False if a stop signal came.
        :raise StartFailed: a daemon ended, or is not ready in time.  The others still run.
        """
        deadline = time.monotonic() + _READY_S
        for daemon in self.nodes:
            daemon.start()
        for daemon, node in zip(self.nodes, self.plan.nodes, strict=True):
            if not self._wait(daemon, node.url, "/health", deadline):
                return False
        self.front.start()
        return self._wait(self.front, self.plan.admin, "/ready", deadline, {"for": "reads"}) and self._wait(
            self.front, self.plan.url, "/", deadline, method="OPTIONS"
        )

    def grow(self, plan: ClusterPlan) -> None:
        """Start the nodes of a plan that this cluster does not have yet.

        :raise OSError: a node could not be started; those before it run.
        """
        for node in plan.nodes:
            if node.number not in self.plan.numbers:
                daemon = self._storaged(node)
                daemon.start()
                self.nodes.append(daemon)
                self.plan = attrs.evolve(self.plan, numbers=tuple(sorted({*self.plan.numbers, node.number})))

    def _wait(
        self,
        daemon: DaemonProcess,
        url: str,
        path: str,
        deadline: float,
        query: Mapping[str, str] = _NOTHING,
        method: str = "GET",
    ) -> bool:
        server = Server(url, connect_s=_ANSWER_S, stall_s=_ANSWER_S)
        while not self._signals.stopped:
            try:
                with server.ask(method, path, query=query):
                    return True
            except CommandFailed as failure:
                reason = failure.message
            for other in [self.front, *self.nodes]:
                if ended := other.ended():
                    raise StartFailed(f"{other.name} ended: {ended}{last_words(other.output)}")
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"{daemon.name} is not ready after {_READY_S:.0f} s: {reason}{last_words(daemon.output)}"
                )
            self._signals.wait(_LOOK_S)
        return False


def is_well(url: str) -> bool:
    """Return whether a storage server answers."""
    try:
        with Server(url, connect_s=_ANSWER_S, stall_s=_ANSWER_S).ask("GET", "/health"):
            return True
    except CommandFailed:
        return False


def refuse_taken_ports(ports: Mapping[int, str], signals: Signals) -> None:
    """Check that ports are free.

    The check is repeated for two seconds, because daemons of a `splitctl up` that was just killed may not have ended
    yet.

    :param ports: the daemon that needs each port.
    :raise PortTaken: some ports are still taken.
    """
    deadline = time.monotonic() + _PORTS_S
    while taken := taken_ports(ports):
        if time.monotonic() > deadline or signals.stopped:
            raise PortTaken(f"taken on {HOST}: {_listed(taken)}; choose others with --port")
        signals.wait(_LOOK_S)


def taken_ports(ports: Mapping[int, str]) -> list[str]:
    """Return the ports that a process listens on, each with the daemon that needs it."""
    return [f"{port} ({user})" for port, user in ports.items() if _is_taken(port)]


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


def last_words(output: Path) -> str:
    """Return the last lines that a daemon printed, in a form to follow an error message; empty if it printed nothing.

    :param output: the file that has its output.
    """
    lines = last_lines(output, _LINES)
    return f"\nThe end of {output}:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""
