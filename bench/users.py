#!/usr/bin/env python3
"""Measures what users cost: small files with HTTP Basic, and without users, on two clusters by turns.

    bench/users.py --rounds 15 --requests 3000

The cost is CPU time of the front for each request, user and system: times of day say little on a machine that others
use, too.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from body import Body
from load import Client, Exchange
from report import end_well, say, table, write_json
from service import Cluster, running, scratch

_SIZE = 4096
_CLIENTS = 16
_HOT = 500
_SIDES = ("open", "ignored", "users")
"""Without users; without users, but with the header, which is read and ignored; with users."""
USER, PASSWORD = "anna", "a password"


def make_users(path: Path) -> None:
    """Make a file of users: one who may read and write everything, but for one place below."""
    grants = ["--grant", "/:read,write", "--grant", "/secret:"]
    command = [str(Path(sys.executable).with_name("splitctl")), "user", "add", USER, *grants, "--file", str(path)]
    subprocess.run([*command, "--password-stdin"], input=f"{PASSWORD}\n".encode(), check=True, capture_output=True)


def basic_login() -> str:
    """Return the header by which the user logs in, as a line of a request."""
    return f"Authorization: Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}\r\n"


class Side:
    """One way to make requests.

    :param client: makes them.
    :param prefix: begins the names of its files.
    :param clients: how many requests it makes at a time.
    """

    def __init__(self, cluster: Cluster, client: Client, prefix: str, clients: int = _CLIENTS) -> None:
        self._clients = clients
        self._cluster = cluster
        self._prefix = prefix
        self._client = client
        self._numbers = itertools.count()
        self._hot = [self._new() for _ in range(_HOT)]

    def _new(self) -> str:
        return f"{self._prefix}{next(self._numbers)}"

    def warm_up(self) -> None:
        """Store what is read later."""
        self._client.run(self._clients, (Exchange("PUT", path, _SIZE) for path in self._hot))

    def put(self, count: int) -> float:
        """Store files; return the front's CPU microseconds for each."""
        return self._measure(count, (Exchange("PUT", self._new(), _SIZE) for _ in range(count)))

    def get(self, count: int) -> float:
        """Read files; return the front's CPU microseconds for each."""
        paths = itertools.islice(itertools.cycle(self._hot), count)
        return self._measure(count, (Exchange("GET", path, _SIZE) for path in paths))

    def _measure(self, count: int, exchanges: Iterator[Exchange]) -> float:
        processes = self._cluster.processes()
        before = processes.cpu_s()["front"]
        self._client.run(self._clients, exchanges)
        return (processes.cpu_s()["front"] - before) / count * 1e6


def main() -> None:
    """Measure by turns, and print the medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="[%(default)s]")
    parser.add_argument("--requests", type=int, default=3000, help="in each round [%(default)s]")
    parser.add_argument("--port", type=int, default=26900, help="the first port [%(default)s]")
    parser.add_argument("--work", default="var/bench", help="the folder for the data [%(default)s]")
    parser.add_argument("--json", help="where to write the figures")
    given = parser.parse_args()
    end_well()
    login = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    body, figures = Body(), []
    with scratch(Path(given.work)) as folder, ExitStack() as stack:
        make_users(folder / "users.yaml")
        sides = {}
        clusters = []
        for name, port, users in (("open", given.port, None), ("users", given.port + 50, folder / "users.yaml")):
            (folder / name).mkdir()
            clusters.append(Cluster(folder / name, port, users=users))
            stack.enter_context(running(clusters[-1]))
        for side, cluster, header in zip(_SIDES, [clusters[0], *clusters], ["", login, login], strict=True):
            sides[side] = Side(cluster, Client(cluster.url, body, header), f"/{side[0]}")
            sides[side].warm_up()
        for number in range(given.rounds):
            for name in _SIDES if number % 2 else reversed(_SIDES):
                side = sides[name]
                measured = {"GET": side.get(given.requests), "PUT": side.put(given.requests // 4)}
                figures.append({"round": number, "side": name, **measured})
            say(f"round {number + 1} of {given.rounds}")
    rows = []
    for method in ("GET", "PUT"):
        found = [statistics.median(each[method] for each in figures if each["side"] == side) for side in _SIDES]
        rows.append([f"{method} 4 KiB", *found, found[2] / found[0], found[2] / found[1]])
    print(table(["CPU us of the front", "open", "header ignored", "users", "users / open", "users / ignored"], rows))
    if given.json:
        write_json(given.json, rounds=figures)


if __name__ == "__main__":
    main()
