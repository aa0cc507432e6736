#!/usr/bin/env python3
"""Loads a cluster with a mix of requests of all kinds, and judges whether its daemons stay as they are.

    bench/soak.py                                     starts its own cluster with users, ten minutes
    bench/soak.py --minutes 3 --largest 64            shorter, files of up to 64 KiB
    bench/soak.py --leave 0                           no client leaves in the middle of an upload
    bench/soak.py --cluster var/cluster.json          a cluster that `splitctl up` runs, without users

Of four clients, two store, read and delete files, one moves, copies and deletes trees by WebDAV, and one uses S3, with
uploads in parts that are completed, aborted or left.  They log in by passwords, tokens and keys.  Each has its own
names, and knows what each of them must hold, so every answer is compared with what was stored.  The exit status is 1 if
an answer was wrong, or if memory, file descriptors or threads of a daemon still rose in the last half.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
from body import Body
from processes import Processes
from report import Cell, end_well, say, table, write_json
from service import Cluster, processes_of, running, scratch
from signing import S3Key
from visitors import KIB, Mix, S3Visitor, Tally, TreeVisitor, Visitor

_USER, _PASSWORD = "anna", "a password"
SEEN_S = 3.0


@attrs.frozen
class Measure:
    """Something that must not go on rising.

    :param noise: how much higher its mean may be in the last quarter of the run than in the third one.
    :param share: the same as a share of the mean in the third quarter; the larger of the two counts.
    """

    name: str
    look: Callable[[Processes], dict[str, float]]
    noise: float
    share: float


MEASURES = (
    Measure("MiB resident", Processes.resident_mib, 4.0, 0.03),
    Measure("file descriptors", Processes.open_files, 12.0, 0.10),  # connections come and go
    Measure("threads", Processes.threads, 2.0, 0.0),
)


@attrs.frozen
class Doors:
    """Where the clients go, and as whom.

    :param logins: values of `Authorization`, by turns; an empty one for none.
    :param s3: the URL of S3, and a key for it; None for no clients of it.
    """

    url: str
    logins: Sequence[str]
    s3: tuple[str, S3Key] | None


@attrs.frozen
class Sample:
    """What the daemons had at one time, by measure and daemon."""

    after_s: float
    values: dict[str, dict[str, float]]


def take(processes: Processes, after_s: float) -> Sample:
    """Look at all daemons."""
    return Sample(after_s, {measure.name: measure.look(processes) for measure in MEASURES})


def risen(samples: Sequence[Sample], measure: Measure, name: str) -> tuple[float, float]:
    """Return how far a daemon's values rose between the third and the last quarter of the run, and how far they may."""
    third, last = (
        [
            sample.values[measure.name][name]
            for sample in samples
            if start <= sample.after_s / samples[-1].after_s <= start + 0.25
        ]
        for start in (0.5, 0.75)
    )
    before = sum(third) / len(third)
    return sum(last) / len(last) - before, max(measure.noise, measure.share * before)


def visitors_of(doors: Doors, given: argparse.Namespace, body: Body, tally: Tally) -> list[Visitor]:
    """Make the clients."""
    mix = Mix(given.put / 100, given.delete / 100, given.leave / 100, given.largest * KIB)
    run = secrets.token_hex(4)
    made: list[Visitor] = []
    for number in range(given.clients):
        name, login = f"/soak-{run}-{number}", doors.logins[number % len(doors.logins)]
        if number % 4 == 2:
            made.append(TreeVisitor(doors.url, name, mix, body, tally, number, login))
        elif number % 4 == 3 and doors.s3 is not None:
            url, key = doors.s3
            made.append(S3Visitor(url, f"soak-{run}", f"{number}", mix, body, tally, number, key))
        else:
            made.append(Visitor(doors.url, name, mix, body, tally, number, login))
    first = next((each for each in made if isinstance(each, S3Visitor)), None)
    if first is not None:
        first.make_bucket()
    return made


def soak(doors: Doors, processes: Processes, given: argparse.Namespace) -> tuple[list[Sample], Tally]:
    """Load a cluster and watch its daemons."""
    body, tally, stop = Body(), Tally(), threading.Event()
    visitors = visitors_of(doors, given, body, tally)
    threads = [threading.Thread(target=visitor.visit, args=(stop,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    samples: list[Sample] = []
    began = time.monotonic()
    try:
        while (after_s := time.monotonic() - began) < given.minutes * 60:
            time.sleep(min(given.every - after_s % given.every, given.minutes * 60 - after_s))
            samples.append(take(processes, time.monotonic() - began))
            front = {name: found[processes.front] for name, found in samples[-1].values.items()}
            shown = ", ".join(f"{value:.0f} {name}" for name, value in front.items())
            say(f"{samples[-1].after_s:5.0f} s  front: {shown};  {tally.counts.total()} requests")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return samples, tally


def judge(samples: Sequence[Sample], tally: Tally) -> bool:
    """Print the results, and return whether they are good."""
    good = not tally.wrong
    for measure in MEASURES:
        rows: list[list[Cell]] = []
        for name in samples[0].values[measure.name]:
            rise, allowed = risen(samples, measure, name)
            good = good and rise <= allowed
            values = [sample.values[measure.name][name] for sample in samples]
            verdict = "flat" if rise <= allowed else "RISES"
            rows.append([name, values[0], values[-1], max(values), rise, verdict])
        print(table([measure.name, "first", "last", "highest", "last quarter over third", "verdict"], rows))
    print(f"{tally.counts.total()} requests: {dict(tally.counts)}; {len(tally.wrong)} wrong answers")
    for problem in tally.wrong[:10]:
        print(f"  {problem}")
    return good


def splitctl(*words: str, said: str = "") -> str:
    """Run splitctl; return what it printed."""
    program = str(Path(sys.executable).with_name("splitctl"))
    return subprocess.run([program, *words], input=said, check=True, capture_output=True, text=True).stdout


def make_user(file: Path) -> list[str]:
    """Make a user who may do everything with files; return two ways to log in."""
    add = ["--grant", "/:read,write", "--file", str(file), "--password-stdin"]
    splitctl("user", "add", _USER, *add, said=f"{_PASSWORD}\n")
    token = json.loads(splitctl("--json", "user", "token", "add", _USER, "--file", str(file)))["token"]
    basic = base64.b64encode(f"{_USER}:{_PASSWORD}".encode()).decode()
    return [f"Basic {basic}", f"Bearer {token}"]


def make_key(file: Path, told: dict[str, str], user: str = _USER) -> S3Key:
    """Make a key of S3 for a user."""
    sealed = ["--cluster-key-file", told["cluster_key_file"]]
    made = json.loads(splitctl("--json", "user", "key", "add", user, "--file", str(file), *sealed))
    return S3Key(made["access_key"], made["secret_key"])


@contextlib.contextmanager
def own_cluster(given: argparse.Namespace) -> Iterator[tuple[Doors, Processes]]:
    """Run a cluster with users for the time of the block."""
    with scratch(Path(given.work)) as folder:
        users = folder / "users.yaml"
        logins = make_user(users)
        cluster = Cluster(folder, given.port, users=users)
        with running(cluster):
            told = json.loads((folder / "cluster" / "cluster.json").read_text())
            key = make_key(users, told)
            time.sleep(SEEN_S)  # the front looks at the file once a second
            yield Doors(cluster.url, logins, (told["front"]["s3"], key)), cluster.processes()


@contextlib.contextmanager
def running_cluster(path: Path) -> Iterator[tuple[Doors, Processes]]:
    """Use a cluster that runs, without users."""
    told = json.loads(path.read_text())
    key = told.get("s3_key")
    s3 = (told["front"]["s3"], S3Key(key["access_key"], key["secret_key"])) if key else None
    yield Doors(told["front"]["url"], [""], s3), processes_of(path)


def main() -> None:
    """Soak as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long [%(default)s]")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between looks at the daemons [%(default)s]")
    parser.add_argument("--clients", type=int, default=24, help="how many clients at once [%(default)s]")
    parser.add_argument("--largest", type=int, default=8192, help="KiB of the largest file [%(default)s]")
    parser.add_argument("--put", type=float, default=40, help="per cent of PUTs [%(default)s]")
    parser.add_argument("--delete", type=float, default=10, help="per cent of DELETEs [%(default)s]")
    parser.add_argument("--leave", type=float, default=5, help="per cent of uploads left in the middle [%(default)s]")
    parser.add_argument("--cluster", help="cluster.json of a running cluster without users; else one is started")
    parser.add_argument("--work", default="var/bench", help="where folders for the runs are made [%(default)s]")
    parser.add_argument("--port", type=int, default=18600, help="the first port of a cluster started here")
    parser.add_argument("--json", help="where to write the figures")
    given = parser.parse_args()
    end_well()
    with running_cluster(Path(given.cluster)) if given.cluster else own_cluster(given) as (doors, processes):
        samples, tally = soak(doors, processes, given)
    good = judge(samples, tally)
    if given.json:
        write_json(given.json, samples=[attrs.asdict(sample) for sample in samples], requests=dict(tally.counts))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
