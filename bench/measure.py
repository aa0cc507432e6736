#!/usr/bin/env python3
"""Measures PUT and GET of large and small files against a cluster, and what each daemon spends on it.

    bench/measure.py                                  starts a cluster of its own in a temporary folder
    bench/measure.py --cluster var/cluster.json       uses one that `splitctl up` runs
    bench/measure.py --json result.json               keeps the figures for a program

Figures of one run compare with each other.  On a shared machine two runs may differ by more than what you look for:
run both things in turn, several times, and compare medians.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from daemons import Daemons
from load import Connection, random_file, run_threads

MIB = 1024 * 1024
GIB = 1024 * MIB
FOLDER = "/bench"


class Bench:
    """The measurements, one method each; every one adds a row to `rows`."""

    def __init__(self, url: str, daemons: Daemons, front: str) -> None:
        self._url = url
        self._daemons = daemons
        self._front = front
        self.rows: list[dict[str, Any]] = []

    def prepare(self) -> None:
        """Make the collection that all files go to."""
        connection = Connection(self._url)
        connection.ask("MKCOL", FOLDER, {201, 405})
        connection.close()

    def large(self, size: int, streams: int) -> None:
        """`streams` files of `size` bytes at once, in and out."""
        file, close = random_file(size)
        names = [f"{FOLDER}/large-{streams}-{number}" for number in range(streams)]
        connections = [Connection(self._url) for _ in names]
        what = f"{streams} x {size // MIB} MiB"
        first: list[float] = []
        total = size * streams
        self._row(
            f"PUT {what}", total, lambda: run_threads(streams, lambda n: connections[n].put(names[n], file, size))
        )
        self._row(
            f"GET {what}",
            total,
            lambda: run_threads(streams, lambda n: first.append(connections[n].ask("GET", names[n], {200}))),
        )
        self.rows[-1]["first_byte_ms"] = round(1000 * statistics.median(first), 2)
        for number, name in enumerate(names):
            connections[number].ask("DELETE", name, {204})
            connections[number].close()
        close()

    def small(self, size: int, clients: int, seconds: float) -> None:
        """Files of `size` bytes, each client one after the other, for some seconds."""
        file, close = random_file(size)
        connections = [Connection(self._url) for _ in range(clients)]
        written: list[list[str]] = [[] for _ in range(clients)]

        def put(client: int, number: int) -> None:
            name = f"{FOLDER}/small-{clients}-{client}-{number}"
            connections[client].put(name, file, size)
            written[client].append(name)

        def get(client: int, number: int) -> None:
            connections[client].ask("GET", written[client][number % len(written[client])], {200})

        self._loop(f"PUT {size} B, {clients} clients", clients, seconds, put)
        self._loop(f"GET {size} B, {clients} clients", clients, seconds, get)
        run_threads(
            clients, lambda client: [connections[client].ask("DELETE", name, {204}) for name in written[client]]
        )
        for connection in connections:
            connection.close()
        close()

    def _loop(self, what: str, clients: int, seconds: float, once: Callable[[int, int], None]) -> None:
        took_ms: list[float] = []

        def client(number: int) -> None:
            end = time.perf_counter() + seconds
            count = 0
            while (began := time.perf_counter()) < end:
                once(number, count)
                took_ms.append(1000 * (time.perf_counter() - began))
                count += 1

        def run() -> float:
            return run_threads(clients, client)

        row = self._row(what, 0, run)
        row["files_per_s"] = round(len(took_ms) / row["seconds"], 1)
        row["p50_ms"], row["p99_ms"] = (round(_percentile(took_ms, share), 2) for share in (0.5, 0.99))
        row["cpu_ms_per_file"] = round(1000 * sum(row["cpu_s"].values()) / len(took_ms), 3)

    def _row(self, what: str, size: int, work: Callable[[], float]) -> dict[str, Any]:
        os.sync()  # what was written before is not to be paid for here
        self._daemons.forget_peaks()
        before = self._daemons.cpu_s()
        seconds = work()
        after = self._daemons.cpu_s()
        spent = {name: after[name] - before[name] for name in after}
        row: dict[str, Any] = {"what": what, "seconds": round(seconds, 3), "cpu_s": spent}
        if size:
            row["mb_per_s"] = round(size / 1e6 / seconds, 1)
            row["cpu_s_per_gib"] = {name: round(cpu * GIB / size, 3) for name, cpu in spent.items()}
        row["peak_mib"] = {name: round(peak, 1) for name, peak in self._daemons.peak_mib().items()}
        self.rows.append(row)
        return row

    def table(self) -> str:
        """The rows as text."""
        lines = [f"{'':30}{'MB/s':>9}{'files/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU front':>11}{'CPU nodes':>11}"
                 f"{'MiB front':>11}{'MiB node':>10}"]  # fmt: skip
        for row in self.rows:
            per = row.get("cpu_s_per_gib", row["cpu_s"])
            nodes = [value for name, value in per.items() if name != self._front]
            peaks = [value for name, value in row["peak_mib"].items() if name != self._front]
            cells = [row.get("mb_per_s", ""), row.get("files_per_s", ""), row.get("p50_ms", ""), row.get("p99_ms", "")]
            lines.append(
                f"{row['what']:30}" + "".join(f"{cell:>9}" for cell in cells)
                + f"{per[self._front]:>11.2f}{sum(nodes):>11.2f}"
                + f"{row['peak_mib'][self._front]:>11.0f}{max(peaks):>10.0f}"
            )  # fmt: skip
        lines.append("CPU: seconds per GiB of large files, seconds in all for small ones; of the front, of all nodes.")
        return "\n".join(lines)


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextlib.contextmanager
def own_cluster(port: int) -> Iterator[Path]:
    """A cluster in a temporary folder, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="splitd-bench-") as folder:
        command = [str(Path(sys.executable).with_name("splitctl")), "up", "--dir", folder, "--port", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        told = Path(folder, "cluster.json")
        try:
            while not told.exists():
                if process.poll() is not None:
                    sys.exit("the cluster did not start")
                time.sleep(0.1)
            yield told
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", help="cluster.json of a running cluster; without it one is started")
    parser.add_argument("--port", type=int, default=18500, help="the first port of a cluster started here")
    parser.add_argument("--large", type=int, default=1024, help="MiB of the large file")
    parser.add_argument("--small", type=int, default=4096, help="bytes of a small file")
    parser.add_argument("--clients", default="1,16,64", help="how many clients with small files at once")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each of these goes on")
    parser.add_argument("--json", help="where to write the figures")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        path = Path(given.cluster) if given.cluster else stack.enter_context(own_cluster(given.port))
        cluster = json.loads(path.read_text())
        pids = {"front": cluster["front"]["pid"]} | {node["id"]: node["pid"] for node in cluster["nodes"]}
        bench = Bench(cluster["front"]["url"], Daemons(pids), "front")
        bench.prepare()
        bench.large(given.large * MIB, 1)
        bench.large(max(1, given.large // 4) * MIB, 4)
        for clients in given.clients.split(","):
            bench.small(given.small, int(clients), given.seconds)
    print(bench.table())
    if given.json:
        machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
        Path(given.json).write_text(json.dumps({"machine": machine, "rows": bench.rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
