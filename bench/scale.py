#!/usr/bin/env python3
"""Measures how the catalog and its journal scale with the number of files.

    bench/scale.py                                   10 thousand, 100 thousand and 1 million files
    bench/scale.py --files 1000000,3000000 -n 1

For each number, a journal is built.  Then a new process reads it, lists collections and commits files, once per round.
The ratio of the commits compares them with those on an empty catalog in the same round.  At last the journal is
compacted, and new processes start from the snapshot's image and the last segment.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from report import Cell, end_well, say, table, write_json
from scale_build import JournalFolder
from service import scratch

Told = dict[str, float]

COLUMNS = {
    "replay_s": "replay of segments s",
    "replay_cpu_s": "CPU s",
    "image_replay_s": "start from an image s",
    "image_replay_cpu_s": "CPU s",
    "image_resident_mib": "resident MiB",
    "compaction_cpu_s": "CPU s of the compaction",
    "resident_mib": "resident MiB",
    "bytes_per_file": "memory bytes/file",
    "journal_per_file": "journal bytes/file",
    "first_page_ms": "first listing ms",
    "page_p50_ms": "page of 1,000 p50 ms",
    "commits_per_s": "commits/s",
    "commits_ratio": "/ empty",
    "commit_cpu_us": "CPU us/commit",
    "commit_cpu_ratio": "/ empty",
    "copy_gap_ms": "longest stop of the reactor ms: COPY of half",
    "move_gap_ms": "MOVE onto that",
    "delete_gap_ms": "DELETE of it",
    "orphans_gap_ms": "orphans among 1,000 parts",
    "idle_gap_ms": "nothing",
}


def probe(journal: JournalFolder, seconds: float) -> Told:
    """Use a catalog on a journal once."""
    program = Path(__file__).with_name("scale_probe.py")
    try:
        done = subprocess.run(
            [sys.executable, str(program), str(journal.folder), str(seconds)], stdout=subprocess.PIPE, check=True
        )
    finally:
        journal.restore()
    told: Told = json.loads(done.stdout)
    if told["files"]:
        told["bytes_per_file"] = told["grown_mib"] * 2**20 / told["files"]
        told["journal_per_file"] = journal.size / told["files"]
    return told


def one_round(journals: dict[int, JournalFolder], seconds: float) -> dict[int, Told]:
    """Measure all sizes once, the empty journal first."""
    told = {files: probe(journal, seconds) for files, journal in journals.items()}
    for each in told.values():
        for ratio, of in (("commits_ratio", "commits_per_s"), ("commit_cpu_ratio", "commit_cpu_us")):
            each[ratio] = each[of] / told[0][of]
    return told


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", default="10000,100000,1000000", help="how many files [%(default)s]")
    parser.add_argument("-n", "--rounds", type=int, default=3, help="how many rounds [%(default)s]")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to commit each time [%(default)s]")
    parser.add_argument("--work", default="var/bench", help="where folders for the runs are made [%(default)s]")
    parser.add_argument("--json", help="where to write the figures, with those of each round")
    given = parser.parse_args()
    end_well()
    journals: dict[int, JournalFolder] = {}
    with scratch(Path(given.work)) as folder:
        for files in [0, *map(int, given.files.split(","))]:
            say(f"a journal of {files:,} files ...")
            place = folder / str(files)
            place.mkdir()
            journals[files] = JournalFolder(place)
            journals[files].build(files)
        rounds = []
        for number in range(given.rounds):
            say(f"round {number + 1} ...")
            rounds.append(one_round(journals, given.seconds))
        told = {
            files: {key: statistics.median(each[files][key] for each in rounds) for key in rounds[0][files]}
            for files in journals
        }
        for files, journal in journals.items():
            if journal.has_full_segments:
                say(f"a snapshot of {files:,} files ...")
                told[files]["compaction_cpu_s"] = journal.compact()
                starts = [probe(journal, 0) for _ in range(given.rounds)]
                for key in ("replay_s", "replay_cpu_s", "resident_mib"):
                    told[files][f"image_{key}"] = statistics.median(each[key] for each in starts)
    lines: list[list[Cell]] = [[f"{files:,}", *(each.get(key) for key in COLUMNS)] for files, each in told.items()]
    print(table(["files", *COLUMNS.values()], lines))
    if given.json:
        write_json(given.json, medians=told, rounds=rounds)


if __name__ == "__main__":
    main()
