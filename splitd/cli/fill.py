"""How full the nodes are, for a person: a table with bars, and the spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from splitd.cli.session import format_size

_CELLS = 20
_STYLES = {"up": "green", "readonly": "cyan", "full": "yellow", "down": "red", "stranger": "red"}

Node = Mapping[str, Any]
"""A node as the status tells it."""


def node_table(console: Console, nodes: Sequence[Node]) -> Table:
    """What is known of each node, with its fill as a bar."""
    table = Table(box=None, pad_edge=False)
    for heading in ("node", "state", "mode", "zone", "url"):
        table.add_column(heading)
    for heading in ("free", "capacity"):
        table.add_column(heading, justify="right")
    table.add_column("fill", no_wrap=True)
    table.add_column("problem")
    for node in nodes:
        table.add_row(
            node["id"],
            Text(node["state"], _STYLES.get(node["state"], "")),
            node["mode"],
            node["zone"],
            node["url"],
            format_size(node["free"]),
            format_size(node["capacity"]),
            fill_bar(console, node["fill"], node["state"]),
            node["problem"],
        )
    return table


def fill_bar(console: Console, fill: float | None, state: str = "up") -> Text:
    """A bar with percent; empty where the fill is not known.

    :param fill: a fraction of the capacity.
    """
    if fill is None:
        return Text("")
    full, rest = _marks(console)
    cells = min(round(fill * _CELLS), _CELLS)
    bar = Text(full * cells, _STYLES.get(state, "")).append(rest * (_CELLS - cells), "dim")
    return bar.append(f" {format_percent(fill):>7}", "default")


def tell_spread(fill: Mapping[str, float] | None) -> str:
    """The spread in a sentence.

    :param fill: of the nodes that take parts, as the status tells it; None where there is none that is up.
    """
    if fill is None:
        return "fill not known"
    lowest, highest = 100 * fill["lowest"], 100 * fill["highest"]
    return f"fill {lowest:.0f} to {highest:.0f} %, spread {format_percent(fill['spread'])}"


def format_percent(fraction: float) -> str:
    """A fraction for a person."""
    return f"{100 * fraction:.1f} %"


def show_nodes(console: Console, found: Mapping[str, Any]) -> None:
    """Print what a status says of the nodes."""
    console.print(node_table(console, found["nodes"]))
    console.print()
    console.print(tell_spread(found["fill"]))


def _marks(console: Console) -> tuple[str, str]:
    try:
        "█░".encode(console.encoding)
    except UnicodeEncodeError:
        return "#", "."
    return "█", "░"
