#!/usr/bin/env python3
"""Measures what a catalog in a database costs: small files with a journal and with PostgreSQL, by turns.

    bench/catalogs.py --catalog postgresql://splitd@localhost/bench --rounds 9 --clients 16 64

The cost is CPU time of the front for each request, user and system: rates say little on a machine that others use, too.
The database may run on this machine; its CPU time is not counted, but it takes its share of the cores.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

from body import Body
from load import Client
from report import end_well, say, table, write_json
from service import Cluster, running, scratch
from users import Side

_SIDES = ("journal", "database")


def main() -> None:
    """Measure by turns, and print the medians and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalog", required=True, help="the address of an empty database or schema")
    parser.add_argument("--rounds", type=int, default=9, help="[%(default)s]")
    parser.add_argument("--requests", type=int, default=3000, help="in each round [%(default)s]")
    parser.add_argument("--clients", type=int, nargs="+", default=[16, 64], help="how many at a time [%(default)s]")
    parser.add_argument("--port", type=int, default=26700, help="the first port [%(default)s]")
    parser.add_argument("--work", default="var/bench", help="the folder for the data [%(default)s]")
    parser.add_argument("--json", help="where to write the figures")
    given = parser.parse_args()
    end_well()
    body, figures = Body(), list[dict[str, float | str]]()
    sides: dict[tuple[str, int], Side] = {}
    with scratch(Path(given.work)) as folder, ExitStack() as stack:
        for name, port, catalog in (("journal", given.port, ""), ("database", given.port + 50, given.catalog)):
            (folder / name).mkdir()
            cluster = Cluster(folder / name, port, catalog=catalog)
            stack.enter_context(running(cluster))
            for clients in given.clients:
                side = Side(cluster, Client(cluster.url, body), f"/{name[0]}{clients}-", clients)
                side.warm_up()
                sides[name, clients] = side
        for number in range(given.rounds):
            for name in _SIDES if number % 2 else reversed(_SIDES):
                for clients in given.clients:
                    side = sides[name, clients]
                    for method, call, count in (("GET", side.get, 1), ("PUT", side.put, 4)):
                        began = monotonic()
                        cpu = call(given.requests // count)
                        rate = given.requests // count / (monotonic() - began)
                        kind = {"round": number, "side": name, "clients": clients, "method": method}
                        figures.append({**kind, "cpu_us": cpu, "rate": rate})
            say(f"round {number + 1} of {given.rounds}")
    rows = []
    for method, clients, figure in itertools.product(("GET", "PUT"), given.clients, ("cpu_us", "rate")):
        here = [each for each in figures if (each["method"], each["clients"]) == (method, clients)]
        one, two = (statistics.median(float(each[figure]) for each in here if each["side"] == side) for side in _SIDES)
        kind = "CPU us of the front" if figure == "cpu_us" else "requests a second"
        share = one / two if figure == "cpu_us" else two / one
        rows.append([f"{method} 4 KiB, {clients} clients, {kind}", one, two, share])
    print(table(["", *_SIDES, "database's share of the journal's rate"], rows))
    if given.json:
        write_json(given.json, rounds=figures)


if __name__ == "__main__":
    main()
