#!/usr/bin/env python3
"""Measures this tree and another commit by turns on this machine, so that a change can say what it did.

    bench/against.py                                     the last release, or else the commit before this one
    bench/against.py HEAD~5 --only large,small -n 5
    bench/against.py v0.1.0 --history 0.2.0              keeps the medians in docs/performance/0.2.0.json

The other commit gets a work tree and an environment of its own, below `--work`.  Both are measured by the programs of
this tree, which start the `splitctl` of the respective environment.  The figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from history import keep
from report import Cell, end_well, say, table, write_json

_BENCH = Path(__file__).parent
_HERE = _BENCH.parent

_RATIOS = {"mb_per_s": "MB/s", "mb_per_s_on_disk": "MB/s on disk", "files_per_s": "files/s", "p50_ms": "p50 ms"}

Figures = dict[str, dict[str, float]]
"""The figures of one run: by the row's name, and by the figure's."""


def git(*words: str) -> str:
    """Return what git prints."""
    return subprocess.run(["git", *words], cwd=_HERE, check=True, capture_output=True, text=True).stdout.strip()


def last_release() -> str:
    """Return the tag of the last release; the commit before this one if there is none."""
    tags = git("tag", "--list", "v*", "--sort=-version:refname", "--merged", "HEAD").split()
    return tags[0] if tags else "HEAD~1"


@contextmanager
def tree_of(commit: str, work: Path) -> Iterator[Path]:
    """Check a commit out to a work tree with an environment of its own; remove it at the end."""
    work.mkdir(parents=True, exist_ok=True)
    tree = (work / f"against-{commit[:12]}").resolve()
    git("worktree", "prune")
    git("worktree", "add", "--detach", "--force", str(tree), commit)
    try:
        subprocess.run(["make", "--quiet", ".venv/.installed"], cwd=tree, check=True, stdout=sys.stderr)
        yield tree
    finally:
        git("worktree", "remove", "--force", str(tree))


def measure(tree: Path, given: argparse.Namespace) -> Figures:
    """Measure a tree once."""
    told = Path(given.work) / "against.json"
    python = tree / ".venv" / "bin" / "python"
    program = [python, _BENCH / "measure.py", "--only", given.only, "--work", given.work, "--json", told]
    try:
        subprocess.run([*map(str, program), *given.more], check=True, stdout=subprocess.DEVNULL)
        rows = json.loads(told.read_text())["rows"]
    finally:
        told.unlink(missing_ok=True)
    return {row["what"]: _figures(row) for row in rows}


def _figures(row: dict[str, Any]) -> dict[str, float]:
    found = {name: row[key] for key, name in _RATIOS.items() if key in row}
    if "cpu_s" in row:
        unit = "s/GiB" if "cpu_s_per_gib" in row else "ms/file"
        cpu = row.get("cpu_s_per_gib") or row["cpu_ms_per_file"]
        found[f"CPU front {unit}"] = cpu["front"]
        found[f"CPU nodes {unit}"] = sum(cpu.values()) - cpu["front"]
    return found


def medians(rounds: list[Figures]) -> Figures:
    """Return the median of each figure."""
    return {
        what: {name: statistics.median(each[what][name] for each in rounds) for name in figures}
        for what, figures in rounds[0].items()
    }


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", nargs="?", help="what to compare with [the last release]")
    parser.add_argument("--only", default="large,small", help="sections of measure.py [%(default)s]")
    parser.add_argument("-n", "--rounds", type=int, default=3, help="how many rounds [%(default)s]")
    parser.add_argument("--work", default="var/bench", help="where folders for the runs are made [%(default)s]")
    parser.add_argument("--json", help="where to write the figures, with those of each round")
    parser.add_argument("--history", metavar="NAME", help="the release whose medians to keep for bench/history.py")
    given, given.more = parser.parse_known_args()
    end_well()
    other = git("rev-parse", f"{given.commit or last_release()}^{{commit}}")
    this = git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain") else "")
    with tree_of(other, Path(given.work)) as tree:
        rounds: dict[str, list[Figures]] = {"other": [], "this": []}
        for number in range(given.rounds):
            for name, where in (("other", tree), ("this", _HERE)):
                say(f"round {number + 1}, {name} ...")
                rounds[name].append(measure(where, given))
    told = {name: medians(each) for name, each in rounds.items()}
    lines: list[list[Cell]] = []
    for what, figures in told["this"].items():
        for name, value in figures.items():
            before = told["other"].get(what, {}).get(name)
            lines.append([f"{what}: {name}", before, value, value / before if before else None])
    print(table(["", other[:12], this[:12] + "+" * this.endswith("+"), "ratio"], lines))
    if given.history:
        say(f"kept in {keep(given.history, {'other': other, 'this': this}, told, given.rounds)}")
    if given.json:
        write_json(given.json, commits={"other": other, "this": this}, medians=told, rounds=rounds)


if __name__ == "__main__":
    main()
