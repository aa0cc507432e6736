"""Shows the fronts that share a catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text


def front_table(fronts: Sequence[Mapping[str, Any]], now_ms: int) -> Table:
    """Return a table of the fronts.

    :param fronts: as they stand in the answer to `GET /status`.
    :param now_ms: the present time, by the clock that shows it.
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("front", "state", "address", "version", "since", "last heard", "does alone"):
        table.add_column(heading, overflow="fold")
    for front in fronts:
        gone = front["gone"]
        table.add_row(
            front["id"] + (" (asked)" if front["asked"] else ""),
            Text("gone" if gone else "up", "red" if gone else "green"),
            front["address"],
            front["version"],
            f"{datetime.fromtimestamp(front['since_ms'] / 1000).astimezone():%Y-%m-%d %H:%M:%S}",
            f"{timedelta(seconds=max(0, now_ms - front['heard_ms']) // 1000)} ago",
            ", ".join(front["upkeep"]),
        )
    return table
