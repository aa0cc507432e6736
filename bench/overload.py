#!/usr/bin/env python3
"""Measures what clients see of a front that gets twice as much to do as it can do, with limits and without.

    bench/overload.py --seconds 10 --per-client 10

Each client has a connection, and makes `--per-client` requests a second, if the answers come soon enough; a refused one
waits for as long as Retry-After says.  Nine of ten are GETs of files in the front's memory, one is a PUT; 4 KiB each.
First one client in twenty of those that could be served measures the unloaded service; then comes twice their number.
"""

from __future__ import annotations

import argparse
import heapq
import random
import select
import socket
import statistics
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import attrs
from body import Body
from load import Client, Exchange
from report import end_well, say, table, write_json
from service import Cluster, running, scratch

_SIZE = 4096
_HOT = 500
_PUTS = 0.1
_CLOSED = 64
"""Clients that make one request after the other, to find out how many the front can serve."""
LIMITS = "work: {at_once: 32, waiting: 32, wait_s: 1}\n"


@attrs.define
class Seen:
    """What the clients of one run have seen."""

    seconds: list[float] = attrs.Factory(list)
    refused: int = 0
    late: int = 0

    def percentile(self, share: float) -> float:
        """Return the milliseconds below which this share of the served requests stayed."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


class Caller:
    """One client, with a connection of its own."""

    def __init__(self, address: tuple[str, int], number: int, dice: random.Random) -> None:
        self._address = address
        self._number = number
        self._dice = dice
        self._puts = 0
        self._received = b""
        self.began = 0.0
        self.socket = self._connect()

    def _connect(self) -> socket.socket:
        made = socket.create_connection(self._address)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def send(self) -> None:
        """Send a request."""
        if self._dice.random() < _PUTS:
            self._puts += 1
            head = f"PUT /p{self._number}-{self._puts % 8} HTTP/1.1\r\nHost: x\r\nContent-Length: {_SIZE}\r\n\r\n"
            data = head.encode() + bytes(_SIZE)
        else:
            data = f"GET /h{self._dice.randrange(_HOT)} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        self._received = b""
        self.began = time.perf_counter()
        self.socket.sendall(data)

    def receive(self) -> int:
        """Read on; return the status when the answer is whole, else 0.  A connection that was closed is made anew."""
        data = self.socket.recv(65536)
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            if data:
                return 0
            raise RuntimeError("the connection ended before the answer did")
        status = int(head[9:12])
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(body) < (0 if status == 204 else length):
            return 0
        if b"connection: close" in lines:
            self.socket.close()
            self.socket = self._connect()
        return status


def run(url: str, count: int, per_client: float, seconds: float) -> Seen:
    """Let so many clients make requests."""
    parts = urlsplit(url)
    address, dice, seen = (parts.hostname or "", parts.port or 80), random.Random(1), Seen()
    callers = [Caller(address, number, dice) for number in range(count)]
    poll, waiting = select.epoll(), dict[int, Caller]()
    start = time.perf_counter()
    due = [(start + dice.random() / per_client, number) for number in range(count)]
    heapq.heapify(due)
    while (now := time.perf_counter()) < start + seconds:
        while due and due[0][0] <= now:
            at, number = heapq.heappop(due)
            caller = callers[number]
            seen.late += now - at > 1 / per_client
            caller.send()
            waiting[caller.socket.fileno()] = caller
            poll.register(caller.socket, select.EPOLLIN)
        pause = min(due[0][0] - now, 0.1) if due else 0.1
        for descriptor, _ in poll.poll(max(pause, 0)):
            caller = waiting[descriptor]
            poll.unregister(descriptor)
            status = caller.receive()
            if not status:
                poll.register(descriptor, select.EPOLLIN)
                continue
            del waiting[descriptor]
            ended = time.perf_counter()
            next_at = max(caller.began + 1 / per_client, ended)
            if status == 503:
                seen.refused += 1
                next_at = ended + 1 + dice.random()  # Retry-After, and what keeps clients from coming all at once
            elif 200 <= status < 300:
                seen.seconds.append(ended - caller.began)
            else:
                raise RuntimeError(f"status {status}")
            heapq.heappush(due, (next_at, callers.index(caller)))
    for caller in callers:
        caller.socket.close()
    return seen


def set_limits(path: Path, text: str, admin_port: int) -> None:
    """Let other limits be in force."""
    path.write_text(text)
    reload = urllib.request.Request(f"http://127.0.0.1:{admin_port}/reload", method="POST")
    urllib.request.urlopen(reload).read()


def capacity(url: str, body: Body, seconds: float) -> float:
    """Return how many requests of the mix a second the front serves at most."""
    dice, counted, end = random.Random(2), 0, time.perf_counter() + seconds
    client = Client(url, body, "")

    def exchanges() -> object:
        nonlocal counted
        while time.perf_counter() < end:
            counted += 1
            put = dice.random() < _PUTS
            yield Exchange("PUT", f"/c{counted % 800}", _SIZE) if put else Exchange("GET", f"/h{counted % _HOT}", _SIZE)

    client.run(_CLOSED, exchanges())
    return counted / seconds


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="of each run [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3, help="[%(default)s]")
    parser.add_argument("--per-client", type=float, default=10, help="requests a second [%(default)s]")
    parser.add_argument("--port", type=int, default=27200, help="the first port [%(default)s]")
    parser.add_argument("--work", default="var/bench", help="the folder for the data [%(default)s]")
    parser.add_argument("--json", help="where to write the figures")
    given = parser.parse_args()
    end_well()
    body, found = Body(), []
    with scratch(Path(given.work)) as folder:
        limits = folder / "limits.yaml"
        limits.write_text("")
        config = folder / "cluster" / "front" / "splitd.yaml"
        config.parent.mkdir(parents=True)
        config.write_text(f"limits: {limits.absolute()}\n")
        cluster = Cluster(folder, given.port)
        with running(cluster):
            Client(cluster.url, body, "").run(16, (Exchange("PUT", f"/h{number}", _SIZE) for number in range(_HOT)))
            for number in range(given.rounds):
                served = capacity(cluster.url, body, given.seconds / 2)
                clients = max(2, int(served / given.per_client))
                rows = {"unloaded": run(cluster.url, max(1, clients // 20), given.per_client, given.seconds)}
                for name, text in (("without limits", ""), ("with limits", LIMITS)):
                    set_limits(limits, text, given.port + 1)
                    rows[name] = run(cluster.url, 2 * clients, given.per_client, given.seconds)
                set_limits(limits, "", given.port + 1)
                found += [{"round": number, "what": name, "clients": clients, **_figures(seen, given.seconds)}
                          for name, seen in rows.items()]  # fmt: skip
                say(f"round {number + 1} of {given.rounds}: {served:.0f} requests a second, {clients} clients")
    print(_table(found))
    if given.json:
        write_json(given.json, rounds=found)


def _figures(seen: Seen, seconds: float) -> dict[str, float]:
    served = len(seen.seconds)
    return {
        "served": served / seconds,
        "refused": seen.refused / seconds,
        "p50": seen.percentile(0.5),
        "p99": seen.percentile(0.99),
    }


def _table(found: list[dict[str, object]]) -> str:
    rows = []
    for what in ("unloaded", "without limits", "with limits"):
        of = [each for each in found if each["what"] == what]
        medians = [
            statistics.median(float(str(each[key])) for each in of) for key in ("served", "refused", "p50", "p99")
        ]
        rows.append([what, *medians])
    for row in rows:
        row.append(float(row[4]) / float(rows[0][4]))
    return table(["", "served/s", "refused/s", "p50 ms", "p99 ms", "p99 / unloaded"], rows)


if __name__ == "__main__":
    main()
