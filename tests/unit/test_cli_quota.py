"""splitctl quota against a front with real sockets."""

from __future__ import annotations

import json

from tests.unit.front_double import FrontDouble, run

QUOTAS = [
    {"name": "/anna", "paths": ["/anna"], "bytes": 2**30, "files": None, "used_bytes": 2**29, "used_files": 7},
    {"name": "user bert", "paths": ["/b", "/c"], "bytes": None, "files": 9, "used_bytes": 10, "used_files": 1},
]


def test_it_shows_each_quota_with_its_use(front: FrontDouble) -> None:
    front.status["quotas"] = QUOTAS
    result = run(front, "quota")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [
        ["/anna", "512.0", "MiB", "1.0", "GiB", "7", "-", "/anna"],
        ["user", "bert", "10", "B", "-", "1", "9", "/b,", "/c"],
    ]
    assert json.loads(run(front, "--json", "quota").stdout) == QUOTAS


def test_it_says_that_there_are_none(front: FrontDouble) -> None:
    front.status["quotas"] = []
    assert run(front, "quota").stdout == "there are no quotas\n"
