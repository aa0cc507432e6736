#!/usr/bin/env python3
"""Measures what workers cost and bring: a front of one process and one with two workers, by turns.

    bench/workers.py                       about three minutes
    bench/workers.py --rounds 9 --json workers.json
    bench/workers.py --catalog postgresql://splitd@localhost/one postgresql://splitd@localhost/two

The rates of a machine whose cores the load, the nodes and the front share say little about workers: of two cores, the
client takes a part.  The CPU time of each process for a request tells what they would do with a core for each: the
rate of the process that is busiest.  That is the column `by CPU`.  The last table continues it to more workers.

With wrk (apt install wrk), small files are also read by a client that needs next to no CPU, as if it had a machine of
its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import shutil
import statistics
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import perf_counter
from urllib.request import urlopen

import attrs
from body import MIB, Body
from load import Client, Exchange, Failed
from processes import Processes
from report import end_well, say, table, write_json
from service import Cluster, running, scratch

_SIZE = 4096
_HOT = 500
_LARGE = 64 * MIB
_MODEL = (1, 2, 4, 8, 16)
_WRK_S = 2

_SCRIPT = f"""
local number = 0
function request()
    number = (number + 1) % {_HOT}
    return wrk.format("GET", "/hot" .. number)
end
function done(summary, latency, requests)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    print("told " .. summary.requests .. " " .. failed)
end
"""


@attrs.frozen
class Load:
    """What is measured.

    :param clients: how many connections make requests.
    :param units: in how many units the cost is told: requests, or MiB; not used with wrk, which counts its requests.
    :param exchanges: returns the requests; None to have wrk make them.
    """

    name: str
    clients: int
    units: int
    exchanges: Callable[[], list[Exchange]] | None


@attrs.frozen
class Measured:
    """One load on one side: per unit, in seconds.

    :param wall: by the clock.
    :param workers: CPU of each process that serves clients.
    :param catalog: CPU of the process that keeps the catalog; 0 if it is the one that serves clients.
    :param nodes: CPU of all nodes.
    """

    wall: float
    workers: list[float]
    catalog: float
    nodes: float

    @property
    def busiest(self) -> float:
        """The CPU of the process of the front that has most to do."""
        return max(*self.workers, self.catalog)


class Side:
    """A cluster with some number of workers."""

    def __init__(self, cluster: Cluster, body: Body, port: int) -> None:
        self.url = cluster.url
        self.client = Client(cluster.url, body)
        self._told = cluster.processes()
        head = self._told.pids[self._told.front]
        with urlopen(f"http://127.0.0.1:{port + 1}/status", timeout=60) as answer:
            self.workers: list[int] = json.load(answer).get("workers") or []
        children = Path(f"/proc/{head}/task/{head}/children").read_text().split()
        others = [int(each) for each in children if int(each) not in self.workers]
        self.processes = (
            Processes({f"worker {number}": pid for number, pid in enumerate(self.workers)} | {"catalog": others[0]})
            if self.workers
            else Processes({"front": head})
        )

    def fill(self, paths: Sequence[str], size: int, clients: int) -> None:
        """Store files."""
        self.client.run(clients, (Exchange("PUT", path, size) for path in paths))

    def measure(self, load: Load) -> Measured:
        """Measure a load."""
        units, exchanges = load.units, load.exchanges and load.exchanges()
        before, nodes, began = self.processes.cpu_s(), self._nodes(), perf_counter()
        if exchanges is None:
            units = self._run_wrk(load.clients)
        else:
            self.client.run(load.clients, iter(exchanges))
        wall, after = perf_counter() - began, self.processes.cpu_s()
        used = {name: (after[name] - before[name]) / units for name in after}
        catalog = used.pop("catalog", 0.0)
        return Measured(wall / units, list(used.values()), catalog, (self._nodes() - nodes) / units)

    def _run_wrk(self, clients: int) -> int:
        """Read small files for some seconds; return how many were read."""
        with NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(_SCRIPT)
            script.flush()
            command = ["wrk", "--threads=1", f"--connections={clients}", f"--duration={_WRK_S}s"]
            run = subprocess.run(
                [*command, f"--script={script.name}", self.url], check=True, capture_output=True, text=True
            )
        told = re.search(r"^told (\d+) (\d+)$", run.stdout, re.MULTILINE)
        if told is None or told[2] != "0":
            raise Failed(f"wrk: {run.stdout}")
        return int(told[1])

    def _nodes(self) -> float:
        return sum(cpu for name, cpu in self._told.cpu_s().items() if name != self._told.front)

    def memory(self) -> dict[str, float]:
        """Return the memory of each process in MiB, with its part of what it shares with others (PSS)."""
        return {name: _pss_mib(pid) for name, pid in self.processes.pids.items()}


def _pss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no Pss")


def _loads(requests: int) -> list[Load]:
    hot = [f"/hot{number}" for number in range(_HOT)]
    large = [f"/large{number}" for number in range(4)]
    numbers = itertools.count()

    def gets(count: int) -> Callable[[], list[Exchange]]:
        return lambda: [Exchange("GET", path, _SIZE) for path in itertools.islice(itertools.cycle(hot), count)]

    def puts(count: int) -> Callable[[], list[Exchange]]:
        return lambda: [Exchange("PUT", f"/new{next(numbers)}", _SIZE) for _ in range(count)]

    wrk = [Load("the same, by wrk", 64, 0, None)] if shutil.which("wrk") else []
    return [
        Load("GET of a kept file of 4 KiB, 64 clients", 64, requests, gets(requests)),
        *wrk,
        Load("GET of a kept file of 4 KiB, 1 client", 1, requests // 4, gets(requests // 4)),
        Load("PUT of 4 KiB, 64 clients", 64, requests // 4, puts(requests // 4)),
        Load("four GETs of 64 MiB, per MiB", 4, 4 * _LARGE // MIB, lambda: [Exchange("GET", p, _LARGE) for p in large]),
    ]


def _median(figures: Sequence[Measured], of: Callable[[Measured], float]) -> float:
    return statistics.median(map(of, figures)) * 1e6


def main() -> None:
    """Measure by turns, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="[%(default)s]")
    parser.add_argument("--requests", type=int, default=8000, help="in each round [%(default)s]")
    parser.add_argument("--workers", type=int, default=2, help="of the second side [%(default)s]")
    parser.add_argument("--catalog", nargs=2, default=["", ""], help="two empty databases, one of each side [journals]")
    parser.add_argument("--port", type=int, default=26900, help="the first port [%(default)s]")
    parser.add_argument("--work", default="var/bench", help="the folder for the data [%(default)s]")
    parser.add_argument("--json", help="where to write the figures")
    given = parser.parse_args()
    end_well()
    body, loads = Body(), _loads(given.requests)
    figures: dict[tuple[str, int], list[Measured]] = {}
    with scratch(Path(given.work)) as folder, ExitStack() as stack:
        sides: dict[int, Side] = {}
        counts = (1, given.port), (given.workers, given.port + 50)
        for (count, port), catalog in zip(counts, given.catalog, strict=True):
            (folder / str(count)).mkdir()
            cluster = Cluster(folder / str(count), port, workers=count, catalog=catalog)
            stack.enter_context(running(cluster))
            sides[count] = side = Side(cluster, body, port)
            side.fill([f"/hot{number}" for number in range(_HOT)], _SIZE, 16)
            side.fill([f"/large{number}" for number in range(4)], _LARGE, 4)
            for load in loads[:2]:
                side.measure(load)  # every worker has read everything once
        for number in range(given.rounds):
            for load in loads:
                for count in sides if number % 2 else reversed(list(sides)):
                    figures.setdefault((load.name, count), []).append(sides[count].measure(load))
            say(f"round {number + 1} of {given.rounds}")
        memory = {count: side.memory() for count, side in sides.items()}
    _show(loads, figures, given.workers, memory)
    if given.json:
        told = [{"load": name, "workers": count, "rounds": [attrs.asdict(each) for each in some]}
                for (name, count), some in figures.items()]  # fmt: skip
        write_json(given.json, figures=told, memory_mib=memory)


def _show(
    loads: Sequence[Load],
    figures: dict[tuple[str, int], list[Measured]],
    workers: int,
    memory: dict[int, dict[str, float]],
) -> None:
    rows, model = [], []
    for load in loads:
        one, many = figures[load.name, 1], figures[load.name, workers]
        alone = _median(one, lambda each: each.busiest)
        together, catalog = _median(many, lambda each: sum(each.workers)), _median(many, lambda each: each.catalog)
        rows.append([
            load.name, alone, together, catalog, _median(one, lambda each: each.nodes),
            alone / _median(many, lambda each: each.busiest),
            _median(one, lambda each: each.wall) / _median(many, lambda each: each.wall),
        ])  # fmt: skip
        model.append([load.name, *(1e6 / max(together / count, catalog) for count in _MODEL)])
    print(table(["CPU us", "one process", "workers", "catalog", "nodes", "by CPU", "by the clock"], rows))
    print("\nA second, with a core for each process, if nodes and clients are fast enough:\n")
    print(table(["workers", *map(str, _MODEL)], model))
    print("\nMiB of memory (PSS) after that:\n")
    print(table(["process", "MiB"], [[name, size] for sizes in memory.values() for name, size in sizes.items()]))


if __name__ == "__main__":
    main()
