"""Shows how full the nodes are: a table with bars, and the spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from splitd.cli.heal import describe_leaving
from storaged.system.sizes import format_size

_CELLS = 20
_WIDE = 110
_STYLES = {
    "up": "green",
    "readonly": "cyan",
    "draining": "cyan",
    "full": "yellow",
    "down": "red",
    "stranger": "red",
    "lost": "dim",
}

Node = Mapping[str, Any]
"""A node as it stands in the answer to `GET /status`."""


def node_table(console: Console, nodes: Sequence[Node]) -> Table:
    """Return a table of the nodes, with the fill of each as a bar.  A column that would be empty is left out.

    If several nodes share one disk, its size and its free room are shown only for the first of them.
    """
    firsts: dict[str, str] = {node["volume"]: node["id"] for node in reversed(nodes) if node["volume"]}
    optional = [name for name in ("zone", "problem") if any(node[name] for node in nodes)]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0) if _is_narrow(console) else (0, 1))
    for heading in ("node", "state", "mode"):
        table.add_column(heading, no_wrap=True)
    if "zone" in optional:
        table.add_column("zone", overflow="fold")
    table.add_column("url", overflow="fold")
    for heading in ("free", "capacity"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("fill", no_wrap=True)
    if "problem" in optional:
        table.add_column("problem", overflow="fold")
    for node in nodes:
        table.add_row(
            node["id"],
            Text(node["state"], _STYLES.get(node["state"], "")),
            node["mode"],
            *([node["zone"]] if "zone" in optional else []),
            node["url"],
            *_sizes(node, firsts.get(node["volume"], "")),
            fill_bar(console, node["fill"], node["state"]),
            *([node["problem"]] if "problem" in optional else []),
        )
    return table


def _sizes(node: Node, first: str) -> tuple[str, str]:
    if first not in {"", node["id"]}:
        return "", f"same disk as {first}"
    return format_size(node["free"]), format_size(node["capacity"])


def describe_disks(nodes: Sequence[Node]) -> str:
    """Return a sentence with the size of all disks together; empty if no two nodes share a disk."""
    disks = {node["volume"] or node["id"]: node for node in reversed(nodes)}
    if len(disks) == len(nodes):
        return ""
    free, capacity = (format_size(sum(node[name] for node in disks.values())) for name in ("free", "capacity"))
    return f"{len(nodes)} nodes on {len(disks)} {'disk' if len(disks) == 1 else 'disks'} with {free} of {capacity} free"


def fill_bar(console: Console, fill: float | None, state: str = "up") -> Text:
    """Return a bar with a percentage; empty if the fill is not known.

    :param fill: a fraction of the capacity.
    """
    if fill is None:
        return Text("")
    full, rest = _marks(console)
    length = _CELLS // 2 if _is_narrow(console) else _CELLS
    cells = min(round(fill * length), length)
    bar = Text().append(full * cells, _STYLES.get(state, "")).append(rest * (length - cells), "dim")
    return bar.append(f" {format_percent(fill):>7}")


def describe_spread(fill: Mapping[str, float] | None) -> str:
    """Return a sentence with the spread.

    :param fill: the fill of the nodes that take parts, as in the answer to `GET /status`; None if no such node is up.
    """
    if fill is None:
        return "fill not known"
    lowest, highest = 100 * fill["lowest"], 100 * fill["highest"]
    return f"fill {lowest:.0f} to {highest:.0f} %, spread {format_percent(fill['spread'])}"


def format_percent(fraction: float) -> str:
    """Format a fraction as a percentage."""
    return f"{100 * fraction:.1f} %"


def show_nodes(console: Console, found: Mapping[str, Any]) -> None:
    """Print the nodes of a status."""
    console.print(node_table(console, found["nodes"]))
    console.print()
    for node in found["heal"]["leaving"]:
        console.print(describe_leaving(node))
    console.print(", ".join(filter(None, [describe_disks(found["nodes"]), describe_spread(found["fill"])])))


def _is_narrow(console: Console) -> bool:
    return console.width < _WIDE


def _marks(console: Console) -> tuple[str, str]:
    try:
        "█░".encode(console.encoding)
    except UnicodeEncodeError:
        return "#", "."
    return "█", "░"
