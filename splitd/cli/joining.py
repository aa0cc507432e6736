"""Watches new nodes join: until the front reports them up, and while their first bytes arrive."""

from __future__ import annotations

import sys
import time
from collections.abc import Set as SetOf
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from splitd.cli.errors import CommandFailed
from splitd.cli.fill import Node, fill_bar
from splitd.cli.server import Server
from storaged.system.sizes import format_size

_UP_S = 60.0
_FIRST_BYTES_S = 10.0
_LOOK_S = 0.2
_HERE = frozenset({"up", "full", "readonly", "draining"})


class NotUp(CommandFailed):
    """A node is registered, but did not come up in time; the message says why."""


def wait_until_up(admin: Server, node_ids: SetOf[str], patience_s: float = _UP_S) -> dict[str, Any]:
    """Wait until the front can use the nodes.

    :param patience_s: how long to wait, in seconds.
    :return: the status at that moment.
    :raise NotUp: one of the nodes did not come up in time.
    """
    deadline = time.monotonic() + patience_s
    while True:
        found: dict[str, Any] = admin.document("/status")
        away = [node for node in _of(found, node_ids) if node["state"] not in _HERE]
        missing = node_ids - {node["id"] for node in found["nodes"]}
        if not away and not missing:
            return found
        if time.monotonic() > deadline:
            reasons = [f"{node['id']} is {node['state']}: {node['problem']}" for node in away]
            reasons += [f"{node_id} is not in the registry" for node_id in sorted(missing)]
            raise NotUp(f"after {patience_s:.0f} s, {'; '.join(reasons)}")
        time.sleep(_LOOK_S)


def watch_first_bytes(admin: Server, node_ids: SetOf[str], found: dict[str, Any]) -> dict[str, Any]:
    """Show the fill of new nodes on a terminal, until one of them gets its first bytes, or for some seconds.  Without a
    terminal, return at once.

    :param found: the status when they came up.
    :return: the last status.
    """
    if not sys.stderr.isatty():
        return found
    console = Console(stderr=True, markup=False, highlight=False)
    begun = {node["id"]: _used(node) for node in _of(found, node_ids)}
    deadline = time.monotonic() + _FIRST_BYTES_S
    with Live(_fills(console, _of(found, node_ids)), console=console, transient=True) as live:
        while time.monotonic() < deadline and not any(_used(each) > begun[each["id"]] for each in _of(found, node_ids)):
            time.sleep(_LOOK_S)
            found = admin.document("/status")
            live.update(_fills(console, _of(found, node_ids)))
    return found


def _of(found: dict[str, Any], node_ids: SetOf[str]) -> list[Node]:
    return [node for node in found["nodes"] if node["id"] in node_ids]


def _used(node: Node) -> int:
    return int(node["capacity"] - node["free"] + node["reserved"])


def _fills(console: Console, nodes: list[Node]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for node in nodes:
        table.add_row(
            node["id"], fill_bar(console, node["fill"], node["state"]), f"{format_size(_used(node))} used or promised"
        )
    return table
