#!/usr/bin/env python3
"""Shows what the releases did, side by side: the ratios that `against.py --history NAME` has kept.

    bench/history.py
    bench/history.py --only "PUT 4 KiB,GET 4 KiB"

Each file in docs/performance is one comparison, of a release with the commit before it: both were measured by turns on
one machine.  Only ratios are shown, because the figures of two files may come from different machines.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from report import Cell, describe_machine, table

FOLDER = Path(__file__).parent.parent / "docs" / "performance"

_DIGITS = 4


def keep(name: str, commits: dict[str, str], medians: dict[str, dict[str, dict[str, float]]], rounds: int) -> Path:
    """Keep a comparison in a file of its own, which replaces an earlier one of this name.

    :param name: the name of the release.
    :param commits: the commits that were compared: `other` and `this`.
    :param medians: the figures of both, as `against.medians` returns them.
    :param rounds: how many rounds they are the medians of.
    """
    other, this = medians["other"], medians["this"]
    figures = {
        what: {name: [_rounded(other.get(what, {}).get(name)), _rounded(value)] for name, value in row.items()}
        for what, row in this.items()
    }
    head = {
        "release": name,
        "date": time.strftime("%Y-%m-%d"),
        "commits": commits,
        "rounds": rounds,
        "machine": describe_machine(),
    }
    lines = [f"  {json.dumps(what)}: {json.dumps(row)}" for what, row in figures.items()]
    text = json.dumps(head)[:-1] + ',\n "figures": {\n' + ",\n".join(lines) + "\n }}\n"
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(text)
    return path


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")


def show(kept: list[dict[str, Any]], only: list[str]) -> str:
    """Return the ratios of all comparisons as a table: a row for each figure, a column for each release."""
    rows: dict[str, list[Cell]] = {}
    for column, each in enumerate(kept):
        for what, figures in each["figures"].items():
            if only and not any(what.startswith(begin) for begin in only):
                continue
            for name, (before, after) in figures.items():
                row = rows.setdefault(f"{what}: {name}", [None] * len(kept))
                row[column] = after / before if before else None
    head = ["ratio to the commit before", *(f"{each['release']} ({each['date']})" for each in kept)]
    return table(head, [[what, *row] for what, row in rows.items()])


def main() -> None:
    """Show what was kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="beginnings of the names of rows, with commas")
    given = parser.parse_args()
    kept = [json.loads(path.read_text()) for path in FOLDER.glob("*.json")]
    if not kept:
        parser.error(f"there is nothing in {FOLDER}: bench/against.py --history NAME keeps a comparison there")
    print(show(sorted(kept, key=lambda each: str(each["date"])), [begin for begin in given.only.split(",") if begin]))


if __name__ == "__main__":
    main()
