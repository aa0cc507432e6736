"""Decides whether files can be read, and whether they can be stored.  Pure.

Reads and writes are judged separately: a store that is full, or whose journal has failed, still serves every file.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

READS, WRITES = "reads", "writes"


@attrs.frozen
class Readiness:
    """Why files cannot be read or stored now.

    :param reads: the reasons why files cannot be read, one sentence each; empty if they can be read.
    :param writes: the reasons why files cannot be stored, one sentence each; empty if they can be stored.
    """

    reads: Sequence[str]
    writes: Sequence[str]

    @property
    def problems(self) -> list[str]:
        """All reasons, each of them once."""
        return list(dict.fromkeys([*self.reads, *self.writes]))

    def reasons(self, kinds: Sequence[str]) -> dict[str, Sequence[str]]:
        """Return the reasons by kind.

        :param kinds: the wanted kinds: `READS`, `WRITES` or both.
        """
        reasons = {READS: self.reads, WRITES: self.writes}
        return {kind: reasons[kind] for kind in kinds}


def judge_readiness(
    general: Sequence[str], journal_failure: str, states: Sequence[tuple[str, str]], *, data: int, least: int
) -> Readiness:
    """Decide whether files can be read and stored.

    :param general: the reasons that prevent both.
    :param journal_failure: the reason why nothing can be changed until a restart; empty if changes are possible.
    :param states: the id and the state of each node; the states are those of `NodeStatus.state`.
    :param data: how many parts are needed to read a file.
    :param least: how many parts of a new file must be stored.
    """
    reads, writes = list(general), list(general)
    if journal_failure:
        writes.append(f"nothing can be changed until a restart: {journal_failure}")
    silent = [(node, state) for node, state in states if state not in {"up", "full", "readonly", "draining"}]
    if len(states) - len(silent) < data:
        reads.append(f"{data} nodes are needed to read a file, {len(states) - len(silent)} answer{_listed(silent)}")
    closed = [(node, state) for node, state in states if state != "up"]
    if len(states) - len(closed) < least:
        writes.append(f"{least} nodes that take parts are needed, {len(states) - len(closed)} are up{_listed(closed)}")
    return Readiness(reads, writes)


def _listed(states: Sequence[tuple[str, str]]) -> str:
    return "".join(f"{'; ' if not index else ', '}{node} is {state}" for index, (node, state) in enumerate(states))
