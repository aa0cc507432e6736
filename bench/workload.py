"""Measures any server that accepts PUT and GET; each measurement is a row of figures.

A row is a dict: its name `what`, `seconds`, and those of these figures that it has: `mb_per_s` (10^6 bytes),
`mb_per_s_on_disk` (including a sync(2)), `files_per_s`, `keys_per_s`, `p50_ms`, `p99_ms`, `slowest_to_fastest`;
`cpu_s`, `cpu_s_per_gib`, `cpu_ms_per_file`, `cpu_ms_per_list` and `peak_mib` by daemon; `client_cpu_s`; and
`other_cpu_s`, which is what the rest of the machine used meanwhile.  If that is large, the row says little.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from body import GIB, MIB, Body
from load import Client, Exchange
from processes import Processes, machine_time

Row = dict[str, Any]

KIB = 1024

HOT_FILES = 1000
HOT_BYTES = 8 * MIB


class Workload:
    """Measurements of one server.

    :param url: the URL below which files are stored.
    :param verify: whether to read stored files once more, untimed, and compare them.
    :param sign: see `Client`.
    :param name: a format that makes the name of a row.
    :ivar rows: the measurements, in order.
    """

    def __init__(
        self,
        url: str,
        processes: Processes,
        body: Body,
        *,
        verify: bool,
        sign: Callable[[str, str], str] = lambda *_: "",
        name: str = "{}",
    ) -> None:
        self.client = Client(url, body, sign=sign)
        self._name = name
        self._processes = processes
        self._verify = verify
        self._numbers = itertools.count()
        self.rows: list[Row] = []

    def large(self, size: int, streams: int) -> list[str]:
        """Write and read `streams` files of `size` bytes at once.  Return their paths."""
        what = f"{streams} x {size // MIB} MiB" if streams > 1 else f"{size // MIB} MiB"
        paths = self._paths(streams)
        total = size * streams
        put, done = self._measure(f"PUT {what}", lambda: self.client.run(streams, iter(_puts(paths, size))))
        began = time.perf_counter()
        os.sync()
        put["mb_per_s_on_disk"] = total / 1e6 / (put["seconds"] + time.perf_counter() - began)
        self._keep_large(put, done, total)
        self.large_get(paths, size)
        if self._verify:
            self.client.run(min(streams, 4), iter(_gets(paths, size, check=True)))
        return paths

    def large_get(self, paths: Sequence[str], size: int) -> None:
        """Read files of `size` bytes at once."""
        what = f"{len(paths)} x {size // MIB} MiB" if len(paths) > 1 else f"{size // MIB} MiB"
        row, done = self._measure(f"GET {what}", lambda: self.client.run(len(paths), iter(_gets(paths, size))))
        self._keep_large(row, done, size * len(paths))

    def _keep_large(self, row: Row, exchanges: Sequence[Exchange], total: int) -> None:
        row["mb_per_s"] = total / 1e6 / row["seconds"]
        row["cpu_s_per_gib"] = {name: cpu * GIB / total for name, cpu in row["cpu_s"].items()}
        if len(exchanges) > 1:
            times = [exchange.seconds for exchange in exchanges]
            row["slowest_to_fastest"] = max(times) / min(times)
        self.rows.append(row)

    def small_put(self, size: int, clients: int, seconds: float) -> list[str]:
        """Write files of `size` bytes; each client writes one after the other.  Return their paths."""

        def puts() -> Iterator[Exchange]:
            return until(seconds, (Exchange("PUT", self._path(), size) for _ in itertools.count()))

        what = f"PUT {_size(size)}, {clients} at once"
        return self._keep_small(*self._measure(what, lambda: self.client.run(clients, puts())))

    def small_get(self, paths: Sequence[str], size: int, clients: int, seconds: float, note: str = "") -> None:
        """Read files of `size` bytes; each client reads one after the other, the first few of `paths` again and
        again.
        """
        some = paths[: max(clients, min(HOT_FILES, HOT_BYTES // size))]
        self.client.run(min(clients, 4), iter(_gets(some, size, check=self._verify)))  # warms the caches

        def gets() -> Iterator[Exchange]:
            return until(seconds, (Exchange("GET", path, size) for path in itertools.cycle(some)))

        what = f"GET {_size(size)}, {clients} at once{note}"
        self._keep_small(*self._measure(what, lambda: self.client.run(clients, gets())))

    def _keep_small(self, row: Row, exchanges: Sequence[Exchange]) -> list[str]:
        row["files_per_s"] = len(exchanges) / row["seconds"]
        row["cpu_ms_per_file"] = {name: 1000 * cpu / len(exchanges) for name, cpu in row["cpu_s"].items()}
        self.rows.append(row | latencies([exchange.seconds for exchange in exchanges]))
        return [exchange.path for exchange in exchanges]

    def in_turn(self, kinds: dict[str, Callable[[], Exchange]], count: int, *, first_byte: bool) -> None:
        """Make requests of several kinds in turn on one connection; each kind gives a row.

        :param kinds: makes the next request of each kind, by the name of the kind.
        :param first_byte: measure the time to the first byte, not to the last.
        """
        made = [make for _ in range(count) for make in kinds.values()]
        os.sync()
        exchanges = self.client.run(1, (make() for make in made))
        for index, what in enumerate(kinds):
            mine = exchanges[index :: len(kinds)]
            times = [(each.first if first_byte else each.ended) - each.began for each in mine]
            self.rows.append({"what": what, "seconds": sum(times)} | latencies(times))

    def first_bytes(self, size: int, note: str = "", count: int = 20) -> None:
        """Measure the time to the first byte of a file of `size` bytes, and of a small one, in turn."""
        (large,) = self.fill(size, 1)
        small = itertools.cycle(self.fill(4 * KIB, count))
        kinds = {
            f"first byte of 4 KiB{note}": lambda: Exchange("GET", next(small), 4 * KIB),
            f"first byte of {size // MIB} MiB{note}": lambda: Exchange("GET", large, size),
        }
        self.in_turn(kinds, count, first_byte=True)

    def fill(self, size: int, count: int) -> list[str]:
        """Store some files, untimed.  Return their paths."""
        paths = self._paths(count)
        self.client.run(min(count, 4), iter(_puts(paths, size)))
        return paths

    def _path(self) -> str:
        return f"/f{next(self._numbers)}"

    def _paths(self, count: int) -> list[str]:
        return [self._path() for _ in range(count)]

    def _measure(self, what: str, work: Callable[[], list[Exchange]]) -> tuple[Row, list[Exchange]]:
        os.sync()  # earlier writes must not count here
        self._processes.forget_peaks()
        before, machine, client = self._processes.cpu_s(), machine_time(), time.process_time()
        began = time.perf_counter()
        exchanges = work()
        seconds = exchanges[-1].ended - began
        client_cpu_s = time.process_time() - client
        after, machine_after = self._processes.cpu_s(), machine_time()
        spent = {name: after[name] - before[name] for name in after}
        others = machine_after.busy - machine.busy - client_cpu_s - sum(spent.values())
        row: Row = {
            "what": self._name.format(what),
            "seconds": seconds,
            "cpu_s": spent,
            "peak_mib": self._processes.peak_mib(),
            "client_cpu_s": client_cpu_s,
            "other_cpu_s": max(0.0, others),
            "stolen_s": machine_after.stolen - machine.stolen,
        }
        return row, exchanges


def until(seconds: float, exchanges: Iterator[Exchange]) -> Iterator[Exchange]:
    """Yield the exchanges that begin within some seconds."""
    end = time.perf_counter() + seconds
    return itertools.takewhile(lambda _: time.perf_counter() < end, exchanges)


def _puts(paths: Sequence[str], size: int) -> list[Exchange]:
    return [Exchange("PUT", path, size) for path in paths]


def _gets(paths: Sequence[str], size: int, *, check: bool = False) -> list[Exchange]:
    return [Exchange("GET", path, size, check=check) for path in paths]


def latencies(times: Sequence[float]) -> Row:
    """Return the figures of some times in seconds."""
    ordered = sorted(times)
    return {f"p{percent}_ms": 1000 * ordered[percent * len(ordered) // 100] for percent in (50, 99)}


def _size(size: int) -> str:
    return f"{size // MIB} MiB" if size >= MIB else f"{size // 1024} KiB"
