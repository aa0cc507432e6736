"""A front's operators' port, for tests of splitctl: nodes join from a registry's file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

Query = Mapping[str, str]

HEAL: dict[str, Any] = {
    "state": "idle", "versions": {}, "parts": 0, "bytes": 0, "unreadable": 0, "leaving": [], "healed_parts": 0,
    "healed_bytes": 0, "failed": 0, "confirmed": 0, "rate": 0.0, "limit": None, "seconds_left": None, "problem": "",
}  # fmt: skip

SCRUB: dict[str, Any] = {
    "rotten": 0, "scrubbed_bytes": 2**20, "share": 0.25, "ended_ms": None, "paused": False,
}  # fmt: skip

STATUS: dict[str, Any] = {
    "version": "1", "cluster": "c", "uptime_s": 61.5, "ready": True, "problems": [], "warnings": ["a warning"],
    "reads": {"ready": True, "problems": []}, "writes": {"ready": True, "problems": []},
    "layout": "6+0", "unit": 262144,
    "nodes": [
        {"id": "n1", "url": "http://h:1", "zone": "", "state": "up", "mode": "active", "capacity": 2**40,
         "free": 2**39, "reserve": 0, "volume": "", "reserved": 0, "fill": 0.5, "problem": "",
         "scrub": SCRUB},
        {"id": "n2", "url": "http://h:2", "zone": "z", "state": "down", "mode": "readonly", "capacity": 0,
         "free": 0, "reserve": 0, "volume": "", "reserved": 0, "fill": None,
         "problem": "connection [refused]", "scrub": SCRUB},
    ],
    "fill": {"lowest": 0.41, "highest": 0.44, "spread": 0.03},
    "registry": {"path": "/nowhere/nodes.yaml", "loaded_ms": 1_700_000_000_000, "refused": None},
    "rebalance": None, "relayout": None, "lifecycle": None, "heal": HEAL,
    "reading": {"hedges": 0, "silences": 0, "last": {}},
    "files": 3, "bytes": 4096, "uploads": {"under_way": 1, "committed": 2, "aborted": 3},
    "downloads": {"under_way": 4, "finished": 5, "failed": 6, "degraded": 0},
    "reaper": {"doomed": 7, "reaped": 8, "staying": {"n2": 9}},
    "journal": {"records": 8, "size": 9, "segments": 1, "failure": ""},
}  # fmt: skip

REBALANCE: dict[str, Any] = {
    "state": "running", "began_ms": 5, "ended_ms": None, "moved": 0, "bytes": 0, "failed": 0, "spread_before": 0.21,
    "spread": 0.21, "target": 0.01, "limit": None, "problem": "",
}  # fmt: skip

RELAYOUT: dict[str, Any] = {
    "path": "/c", "began_ms": 5, "state": "done", "ended_ms": 9, "files": 12, "changed": 7, "other": 2, "hurt": 1,
    "problem": "",
}  # fmt: skip

PLAN = {
    "spread": 0.21, "target": 0.01, "after": 0.009, "parts": 812, "bytes": 3 * 2**20,
    "nodes": [{"id": "n1", "fill": 0.31, "after": 0.2}, {"id": "n2", "fill": 0.1, "after": 0.191}],
}  # fmt: skip


class No(Exception):
    """A refusal."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Operators:
    """A front's state, as an operator sees it.

    :ivar servers: the storage servers that answer a probe, by URL.
    :ivar asked: the query of each POST and DELETE.
    :ivar heal_steps: the states of the heal, one for each poll.
    :ivar steps: the progress of a rebalance, one for each poll.
    :ivar layout: the layout of every collection.
    :ivar unreadable: how many of the twelve files on each node could not be read without it.
    :ivar refuses: returns why it refuses a registry; empty if it accepts it.
    """

    def __init__(self) -> None:
        self.status: dict[str, Any] = {**STATUS}
        self.servers: dict[str, dict[str, Any]] = {}
        self.asked: list[Query] = []
        self.heal_steps: list[dict[str, Any]] = []
        self.steps: list[dict[str, Any] | None] = []
        self.layout: dict[str, Any] = {"layout": "6+0", "source": None}
        self.unreadable = 0
        self.refuses: Callable[[], str] = str

    def serve(self, registry: Path) -> None:
        """Load the nodes of a registry's file."""
        self.status = {**STATUS, "nodes": [], "registry": {**STATUS["registry"], "path": str(registry)}}
        self.reload({})
        self._look({})

    def answers(self) -> dict[str, Callable[[Query], tuple[int, Any]]]:
        """Return the function that answers each request."""
        return {
            "GET /status": self._look,
            "POST /probe": self._probe,
            "POST /reload": self.reload,
            "POST /heal": self._heal,
            "DELETE /heal": self._pause,
            "POST /scrub": lambda query: self._scrub(query, paused=False),
            "DELETE /scrub": lambda query: self._scrub(query, paused=True),
            "POST /rebalance": self._rebalance,
            "DELETE /rebalance": self._stop,
            "GET /loss": self._lose,
            "POST /layout/apply": self._apply,
            "DELETE /layout/apply": self._apply,
            "GET /layout": self._layout,
            "PUT /layout": self._layout,
            "DELETE /layout": self._layout,
        }

    def _look(self, _: Query) -> tuple[int, Any]:
        report = {**self.status, "nodes": [{**node} for node in self.status.get("nodes", [])]}
        if self.heal_steps:
            self.status["heal"] = report["heal"] = self.heal_steps.pop(0)
        if self.steps:
            self.status["rebalance"] = report["rebalance"] = self.steps.pop(0)
        for node in self.status.get("nodes", []):
            if node["state"] == "unknown":  # at the next poll it is up
                node |= {"state": "up", "capacity": 100, "free": 100, "fill": 0.0}
        return 200, report

    def _probe(self, query: Query) -> tuple[int, Any]:
        registered = {node["id"] for node in self.status["nodes"]}
        if query["id"] in registered:
            raise No(409, f"{query['id']} is registered already")
        if query["url"] not in self.servers:
            raise No(503, f"{query['url']} cannot be reached")
        return 200, {"id": query["id"], "cluster": "", "parts": False, **self.servers[query["url"]]}

    def reload(self, query: Query) -> tuple[int, Any]:
        self.asked.append(query)
        if reason := self.refuses():
            raise No(422, reason)
        path = Path(self.status["registry"]["path"])
        known = {node["id"]: node for node in self.status["nodes"]}
        entries = yaml.safe_load(path.read_text())
        self.status["nodes"] = [known.get(entry["id"]) or _joining(entry) for entry in entries]
        added = [entry["id"] for entry in entries if entry["id"] not in known]
        changed = [
            entry["id"] for entry in entries if entry["id"] in known and known[entry["id"]]["mode"] != _mode(entry)
        ]
        for node, entry in zip(self.status["nodes"], entries, strict=True):
            node["mode"] = _mode(entry)
        return 200, {"nodes": len(entries), "added": added, "moved": [], "changed": changed}

    def _rebalance(self, query: Query) -> tuple[int, Any]:
        self.asked.append(query)
        if query.get("dry_run") == "1":
            return 200, PLAN
        if self.status["rebalance"] and self.status["rebalance"]["state"] == "running":
            raise No(409, "a rebalance is under way")
        self.status["rebalance"] = REBALANCE
        return 202, REBALANCE

    def _heal(self, query: Query) -> tuple[int, Any]:
        self.asked.append(query)
        if not query:
            self.status["heal"] = {**self.status["heal"], "state": "idle"}
        return 200, self.status["heal"]

    def _pause(self, query: Query) -> tuple[int, Any]:
        self.asked.append(query)
        self.status["heal"] = {**self.status["heal"], "state": "paused"}
        return 200, self.status["heal"]

    def _scrub(self, query: Query, *, paused: bool) -> tuple[int, Any]:
        self.asked.append(query)
        asked = []
        for node in self.status["nodes"]:
            problem = "" if node["state"] == "up" else f"it is {node['state']}: {node['problem']}"
            if not problem:
                node["scrub"] = {**node["scrub"], "paused": paused}
            asked.append({"id": node["id"], "paused": node["scrub"]["paused"], "problem": problem})
        return 200, {"nodes": asked}

    def _apply(self, query: Query) -> tuple[int, Any]:
        self.asked.append(query)
        self.status["relayout"] = RELAYOUT
        return 202, {**RELAYOUT, "state": "running", "files": 0, "changed": 0}

    def _lose(self, query: Query) -> tuple[int, Any]:
        return 200, {"id": query["id"], "files": 12, "unreadable": self.unreadable}

    def _layout(self, query: Query) -> tuple[int, Any]:
        self.asked.append(query)
        return 200, {"path": query["path"], "setting": "6+0", **self.layout}

    def _stop(self, query: Query) -> tuple[int, Any]:
        self.asked.append(query)
        if not self.status["rebalance"]:
            raise No(404, "no rebalance is under way")
        self.status["rebalance"] = {**REBALANCE, "state": "stopped", "ended_ms": 9}
        return 200, self.status["rebalance"]


def _mode(entry: dict[str, Any]) -> str:
    return str(entry.get("state", "active"))


def _joining(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": entry["id"], "url": entry["url"], "zone": entry.get("zone", ""), "state": "unknown", "mode": "active",
        "capacity": 0, "free": 0, "reserve": 0, "volume": "", "reserved": 0, "fill": None, "problem": "",
    }  # fmt: skip
