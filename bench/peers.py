#!/usr/bin/env python3
"""Measures splitd and comparable servers in turn, with the same client and workload.

    bench/peers.py                                all that can be run here, three rounds
    bench/peers.py --peers splitd,nginx -n 5
    bench/peers.py --only s3 --keys 0
    bench/peers.py --only files --peers splitd,nginx,seaweedfs --json peers.json

Peers: splitd; nginx (in front of nginx); seaweedfs; seaweedfs-fsync, whose volume servers sync what they store before
it is answered; rclone.  Rows "not kept" are of a front of splitd that keeps no small files in memory; the peers'
figures beside them are those of their usual GETs.

By S3, splitd is measured beside seaweedfs: single and multipart objects, small ones, and once, in the first round,
lists of a bucket with 100,000 keys (a million with `--keys 1000000`, which takes ten minutes more).  Rows "without MD5"
are of splitd with `s3_etag: version`, and those "by WebDAV" of the other door of the same front, with the same user.

A round runs each peer once, in a new folder.  The figures are medians of the rounds.  If the rest of the machine used
more than a fifth of its CPU during a row, the row is left out, unless all rounds are like that.  A second table tells
which goals of speed are reached; see `goals.py`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import goals
from body import MIB, Body
from peer_nginx import Nginx, missing_nginx
from peer_rclone import Rclone, missing_rclone
from peer_seaweedfs import SeaweedFS, missing_weed
from report import Cell, end_well, say, table, write_json
from s3 import S3Workload
from service import S3, Cluster, Service, running, scratch
from soak import SEEN_S, make_key
from users import USER, basic_login, make_users
from workload import Row, Workload

OURS = "splitd"
NOT_KEPT = ", not kept"
NO_MD5 = ", without MD5"
WEBDAV = ", by WebDAV"
NOISY = 0.2
UNITS = {
    "mb_per_s": "MB/s",
    "mb_per_s_on_disk": "MB/s until on disk",
    "files_per_s": "files/s",
    "keys_per_s": "keys/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "cpu_s_per_gib": "CPU s/GiB",
    "cpu_ms_per_file": "CPU ms/file",
    "cpu_ms_per_list": "CPU ms/list",
    "front_mib": "MiB of the front",
    "all_mib": "MiB of all daemons",
}


@attrs.frozen
class Peer:
    """A service to measure.

    :param make: makes the service, given its folder, its first port, and the folder for programs.
    :param port: its first port.
    :param missing: returns what must be installed first, given a folder for programs; empty if nothing.
    """

    make: Callable[[Path, int, Path], Service]
    port: int
    missing: Callable[[Path], str]


PEERS = {
    OURS: Peer(lambda folder, port, _: Cluster(folder, port), 18500, lambda _: ""),
    "nginx": Peer(lambda folder, port, _: Nginx(folder, port), 18560, missing_nginx),
    "seaweedfs": Peer(SeaweedFS, 18580, missing_weed),
    "seaweedfs-fsync": Peer(
        lambda folder, port, programs: SeaweedFS(folder, port, programs, syncs=True), 18620, missing_weed
    ),
    "rclone": Peer(lambda folder, port, _: Rclone(folder, port), 18600, missing_rclone),
}
BY_S3 = (OURS, "seaweedfs")


def one_round(name: str, body: Body, given: argparse.Namespace, *, verify: bool) -> list[Row]:
    """Measure all rows of a peer, once."""
    rows: list[Row] = []
    if given.only in {"", "files"}:
        rows += files(name, body, given, verify=verify)
    if given.only in {"", "s3"} and name in BY_S3:
        rows += objects(name, body, given, verify=verify)
    return rows


def objects(name: str, body: Body, given: argparse.Namespace, *, verify: bool) -> list[Row]:
    """Measure the door for S3 of a peer."""
    peer = PEERS[name]
    with scratch(Path(given.work)) as folder:
        service = peer.make(folder, peer.port, _programs(given))
        with running(service):
            work = S3Workload(service.s3(), service.processes(), body, verify=verify)
            work.large(given.large * MIB, 1)
            work.multipart(given.large * MIB)
            for clients in given.clients:
                paths = work.small_put(given.small, clients, given.seconds)
                work.small_get(paths, given.small, clients, given.seconds)
            if given.keys and verify:
                work.lists(given.keys)
    return work.rows + (doors(body, given) if name == OURS else [])


def doors(body: Body, given: argparse.Namespace) -> list[Row]:
    """Measure the door for S3 without MD5, and that for WebDAV beside it, by turns; a user logs in at both.

    The cluster is a new one: where files are replaced, the deletion of those before would be measured, too.
    """
    with scratch(Path(given.work)) as folder:
        users = folder / "users.yaml"
        make_users(users)
        service = Cluster(folder, PEERS[OURS].port, users=users, etag="version")
        with running(service):
            told, login = service.told(), basic_login()
            key = make_key(users, told, USER)
            time.sleep(SEEN_S)
            processes, door = service.processes(), S3(urlsplit(told["front"]["s3"]).netloc, key.access_key, key.secret)
            plain = S3Workload(door, processes, body, verify=False, note=NO_MD5)
            dav = Workload(service.url, processes, body, verify=False, sign=lambda *_: login, name=f"S3 {{}}{WEBDAV}")
            for work in (plain, dav):
                work.large(given.large * MIB, 1)
            plain.multipart(given.large * MIB)
            for clients in given.clients[-2:]:
                for work in (plain, dav):
                    paths = work.small_put(given.small, clients, given.seconds)
                    work.small_get(paths, given.small, clients, given.seconds)
    return plain.rows + dav.rows


def files(name: str, body: Body, given: argparse.Namespace, *, verify: bool) -> list[Row]:
    """Measure the PUT and GET of files of a peer."""
    peer = PEERS[name]
    with scratch(Path(given.work)) as folder:
        service = peer.make(folder, peer.port, _programs(given))
        with running(service):
            work = Workload(service.url, service.processes(), body, verify=verify)
            work.large(given.large * MIB, 1)
            work.large(max(1, given.large // 4) * MIB, 4)
            for clients in given.clients:
                paths = work.small_put(given.small, clients, given.seconds)
                work.small_get(paths, given.small, clients, given.seconds)
        if name == OURS:
            service = Cluster(folder, peer.port, cached=False)
            with running(service):
                cold = Workload(service.url, service.processes(), body, verify=verify)
                for clients in given.clients:
                    cold.small_get(paths, given.small, clients, given.seconds, NOT_KEPT)
                cold.first_bytes(min(256, given.large) * MIB, NOT_KEPT)
            work.rows += cold.rows
        return work.rows


def _programs(given: argparse.Namespace) -> Path:
    return Path(given.work) / "programs"


def figures(row: Row) -> dict[str, float]:
    """Return the figures of a row that are shown, by the keys of `UNITS`; those of CPU are sums over all daemons."""
    by_daemon = ("cpu_s_per_gib", "cpu_ms_per_file", "cpu_ms_per_list")
    told = row | {key: sum(row[key].values()) for key in by_daemon if key in row}
    return {key: told[key] for key in UNITS if key in told}


def is_noisy(row: Row) -> bool:
    """Return whether other programs used much of the machine during a row; False if the row does not tell."""
    if "other_cpu_s" not in row:
        return False
    allowed: float = NOISY * (os.cpu_count() or 1) * row["seconds"]
    return bool(allowed < row["other_cpu_s"] + row["stolen_s"])


def medians(rounds: Sequence[list[Row]]) -> dict[str, dict[str, float]]:
    """Return the figures of each row of a peer, as medians of the rounds."""
    told = {}
    # The first round may have more rows than the others.
    for what in dict.fromkeys(row["what"] for rows in rounds for row in rows):
        rows = [row for each in rounds for row in each if row["what"] == what]
        kept = [figures(row) for row in rows if not is_noisy(row)] or [figures(row) for row in rows]
        told[what] = {key: statistics.median(each[key] for each in kept) for key in kept[0]}
    peaks = [[list(row["peak_mib"].values()) for row in rows if "peak_mib" in row] for rows in rounds]
    told["most memory"] = {
        "front_mib": statistics.median(max(each[0] for each in rows) for rows in peaks),
        "all_mib": statistics.median(max(map(sum, rows)) for rows in peaks),
    }
    return told


def show(told: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return a table with a line for each figure, a column for each peer, and one for our figure divided by each
    peer's.
    """
    others = [name for name in told if name != OURS] if OURS in told else []
    lines: list[list[Cell]] = []
    for what, keys in next(iter(told.values())).items():
        for key in keys:
            values = [_value(rows, what, key) for rows in told.values()]
            ratios = [told[OURS][what][key] / value if value else None for value in values[len(values) - len(others) :]]
            lines.append([f"{what}: {UNITS[key]}", *values, *ratios])
    return table(["", *told, *(f"{OURS} / {name}" for name in others)], lines)


def _value(rows: dict[str, dict[str, float]], what: str, key: str) -> float | None:
    """Return a figure of a peer, of the usual row if it has none of this one; None if it has none of either."""
    return (rows.get(what) or rows.get(what.removesuffix(NOT_KEPT).removesuffix(NO_MD5)) or {}).get(key)


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(PEERS), help="which, with commas; the first round takes this order")
    parser.add_argument("-n", "--rounds", type=int, default=3, help="how many rounds [%(default)s]")
    parser.add_argument("--work", default="var/bench", help="where folders and programs are kept [%(default)s]")
    parser.add_argument("--large", type=int, default=1024, help="MiB of the large file [%(default)s]")
    parser.add_argument("--small", type=int, default=4096, help="bytes of a small file [%(default)s]")
    parser.add_argument("--clients", default="1,16,64", help="how many clients with small files [%(default)s]")
    parser.add_argument("--seconds", type=float, default=2.5, help="how long each of these goes on [%(default)s]")
    parser.add_argument("--only", default="", choices=["files", "s3"], help="measure only the one or the other door")
    parser.add_argument(
        "--keys", type=int, default=100_000, help="keys of the bucket of which pages are listed [%(default)s]"
    )
    parser.add_argument("--json", help="where to write the figures, with those of each round")
    given = parser.parse_args()
    given.clients = [int(clients) for clients in given.clients.split(",")]
    names = given.peers.split(",")
    if unknown := set(names) - set(PEERS):
        parser.error(f"no such peers: {', '.join(unknown)}; there are {', '.join(PEERS)}")
    end_well()
    for name in list(names):
        if reason := PEERS[name].missing(_programs(given)):
            say(f"{name} is left out: {reason}")
            names.remove(name)
    body = Body()
    rounds: dict[str, list[list[Row]]] = {name: [] for name in names if name in BY_S3 or given.only != "s3"}
    for number in range(given.rounds):
        for name in list(rounds)[
            :: -1 if number % 2 else 1
        ]:  # the order changes, so that no peer always follows the same one
            say(f"round {number + 1}: {name} ...")
            rounds[name].append(one_round(name, body, given, verify=not number))
    told = {name: medians(rows) for name, rows in sorted(rounds.items(), key=lambda item: item[0] != OURS)}
    noisy = sum(is_noisy(row) for rows in rounds.values() for each in rows for row in each)
    print(show(told))
    if reached := goals.show(told):
        print(f"\n{reached}\n")
    print(f"Medians of {given.rounds} rounds.  Others used much of the machine during {noisy} rows.")
    if given.json:
        write_json(given.json, medians=told, rounds=rounds)


if __name__ == "__main__":
    main()
