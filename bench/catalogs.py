#!/usr/bin/env python3
"""Measures what a catalog in a database costs: small files with a journal and with PostgreSQL, by turns.

    bench/catalogs.py --catalog postgresql://splitd@localhost/bench --rounds 9

The cost is CPU time of the front for each request, user and system: times of day say little on a machine that others
use, too.  The database may run on this machine; its CPU time is not counted.
"""

from __future__ import annotations

import argparse
import statistics
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

from body import Body
from load import Client
from report import end_well, say, table, write_json
from service import Cluster, running, scratch
from users import Side

_CLIENTS = 64
_SIDES = ("journal", "database")


def main() -> None:
    """Measure by turns, and print the medians and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalog", required=True, help="the address of an empty database or schema")
    parser.add_argument("--rounds", type=int, default=9, help="[%(default)s]")
    parser.add_argument("--requests", type=int, default=3000, help="in each round [%(default)s]")
    parser.add_argument("--port", type=int, default=26700, help="the first port [%(default)s]")
    parser.add_argument("--work", default="var/bench", help="the folder for the data [%(default)s]")
    parser.add_argument("--json", help="where to write the figures")
    given = parser.parse_args()
    end_well()
    body, figures, sides = Body(), list[dict[str, float | str]](), {}
    with scratch(Path(given.work)) as folder, ExitStack() as stack:
        for name, port, catalog in (("journal", given.port, ""), ("database", given.port + 50, given.catalog)):
            (folder / name).mkdir()
            cluster = Cluster(folder / name, port, catalog=catalog)
            stack.enter_context(running(cluster))
            sides[name] = Side(cluster, Client(cluster.url, body), f"/{name[0]}", _CLIENTS)
            sides[name].warm_up()
        for number in range(given.rounds):
            for name in _SIDES if number % 2 else reversed(_SIDES):
                for method, call, count in (("GET", sides[name].get, 1), ("PUT", sides[name].put, 4)):
                    began = monotonic()
                    cpu = call(given.requests // count)
                    rate = given.requests // count / (monotonic() - began)
                    figures.append({"round": number, "side": name, "method": method, "cpu_us": cpu, "rate": rate})
            say(f"round {number + 1} of {given.rounds}")
    rows = []
    for method in ("GET", "PUT"):
        for figure in ("cpu_us", "rate"):
            here = [each for each in figures if each["method"] == method]
            one, two = (
                statistics.median(float(each[figure]) for each in here if each["side"] == side) for side in _SIDES
            )
            kind = "CPU us of the front" if figure == "cpu_us" else "requests a second"
            rows.append([f"{method} 4 KiB, {kind}", one, two, one / two if figure == "cpu_us" else two / one])
    print(table(["", *_SIDES, "database's share of the journal's rate"], rows))
    if given.json:
        write_json(given.json, rounds=figures)


if __name__ == "__main__":
    main()
