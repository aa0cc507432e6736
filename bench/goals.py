#!/usr/bin/env python3
"""Shows which goals of speed are reached, as a table for docs/performance.md.

    bench/peers.py --only files --json peers.json
    bench/scale.py --files 1000000 --json scale.json
    bench/goals.py peers.json scale.json

Each goal is a ratio of splitd's figure to one of a peer, of the same run, or a bound on a figure of splitd alone.  A
goal whose figures are in none of the files is left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import attrs
from report import Cell, table

Figures = Mapping[str, Mapping[str, Mapping[str, float]]]
"""By the name of the peer, of the row, and of the figure."""

SPLITD = "splitd"
SCALE = "scale"


@attrs.frozen
class Goal:
    """A bound on a ratio, or on one figure.

    :param text: what is measured, for people.
    :param what: the row of splitd, or of `SCALE`.
    :param key: the figure of the row.
    :param bound: the bound.
    :param peer: the peer whose figure it is divided by; None for the figure alone.
    :param row: the peer's row; empty for the same.
    :param most: whether the bound is the most that is allowed; otherwise it is the least.
    :param source: whose figure it is: `SPLITD`, or `SCALE` for one of the catalog alone.
    """

    text: str
    what: str
    key: str
    bound: float
    peer: str | None = None
    row: str = ""
    most: bool = False
    source: str = SPLITD

    def reached(self, figures: Figures) -> float | None:
        """Return the figure, or the ratio; None if it was not measured."""
        mine = figures.get(self.source, {}).get(self.what, {}).get(self.key)
        if mine is None or self.peer is None:
            return mine
        other = figures.get(self.peer, {}).get(self.row or self.what, {}).get(self.key)
        return mine / other if other else None

    def holds(self, value: float) -> bool:
        """Return whether a value is within the bound."""
        return value <= self.bound if self.most else value >= self.bound


def _small(method: str, clients: int, bound: float, note: str = "", *, syncs: bool = False) -> Goal:
    what = f"{method} 4 KiB, {clients} at once"
    text = f"{method} 4 KiB, {clients} clients{note}, of SeaweedFS{' that syncs' if syncs else ''}"
    return Goal(text, what + note, "files_per_s", bound, "seaweedfs-fsync" if syncs else "seaweedfs", what)


GOALS = [
    Goal("PUT 1 GiB until on disk, of two-hop nginx", "PUT 1024 MiB", "mb_per_s_on_disk", 1.1, "nginx"),
    Goal("its CPU, of two-hop nginx", "PUT 1024 MiB", "cpu_s_per_gib", 1.2, "nginx", most=True),
    Goal("GET 1 GiB, of SeaweedFS", "GET 1024 MiB", "mb_per_s", 1.3, "seaweedfs"),
    Goal("its CPU, of SeaweedFS", "GET 1024 MiB", "cpu_s_per_gib", 0.7, "seaweedfs", most=True),
    Goal("GET 1 GiB, of two-hop nginx", "GET 1024 MiB", "mb_per_s", 0.6, "nginx"),
    _small("PUT", 16, 0.9),
    _small("PUT", 64, 1.2),
    _small("PUT", 16, 1, syncs=True),
    _small("PUT", 64, 1, syncs=True),
    _small("GET", 16, 2),
    _small("GET", 64, 2),
    _small("GET", 64, 0.8, ", not kept"),
    Goal(
        "first byte of 256 MiB, of that of 4 KiB not kept",
        "first byte of 256 MiB, not kept",
        "p50_ms",
        2,
        SPLITD,
        "first byte of 4 KiB, not kept",
        most=True,
    ),
    Goal("replay of 1 M files, seconds", "1000000", "image_replay_s", 3, most=True, source=SCALE),
    Goal("its memory, MiB", "1000000", "image_resident_mib", 330, most=True, source=SCALE),
]


def show(figures: Figures) -> str:
    """Return the table of all goals whose figures are there; empty if there is none."""
    lines: list[list[Cell]] = []
    for goal in GOALS:
        value = goal.reached(figures)
        if value is not None:
            sign = "≤" if goal.most else "≥"
            lines.append([goal.text, value, f"{sign} {goal.bound:g}", "yes" if goal.holds(value) else "no"])
    return table(["", "measured", "goal", "reached"], lines) if lines else ""


def read(path: Path) -> Figures:
    """Read the medians that `peers.py` or `scale.py` has written."""
    medians = json.loads(path.read_text())["medians"]
    # Those of scale.py have the number of files where those of peers.py have the peer.
    return medians if SPLITD in medians else {SCALE: medians}


def main() -> None:
    """Show what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="what peers.py and scale.py have written with --json")
    given = parser.parse_args()
    figures: dict[str, Mapping[str, Mapping[str, float]]] = {}
    for path in given.files:
        figures.update(read(path))
    print(show(figures))


if __name__ == "__main__":
    main()
