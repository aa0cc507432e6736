"""Whether files can be read, and whether they can be stored.  Pure.

A store that is full, or whose journal has failed, still serves every file: reads and writes are judged apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

READS, WRITES = "reads", "writes"


@attrs.frozen
class Readiness:
    """What keeps clients from the files.

    :param reads: the reasons why files cannot be read, a sentence each; none where they can.
    :param writes: the reasons why files cannot be stored, as `reads`.
    """

    reads: Sequence[str]
    writes: Sequence[str]

    @property
    def problems(self) -> list[str]:
        """All reasons, each of them once."""
        return list(dict.fromkeys([*self.reads, *self.writes]))

    def reasons(self, kinds: Sequence[str]) -> dict[str, Sequence[str]]:
        """The reasons against each of the kinds.

        :param kinds: of `READS` and `WRITES`.
        """
        reasons = {READS: self.reads, WRITES: self.writes}
        return {kind: reasons[kind] for kind in kinds}


def judge_readiness(
    general: Sequence[str], journal_failure: str, states: Sequence[tuple[str, str]], *, data: int, width: int
) -> Readiness:
    """Judge what can be done.

    :param general: reasons against both.
    :param journal_failure: the reason why nothing can be changed until a restart; empty where all can be.
    :param states: of each node, its id and its state, as `NodeStatus.state` has it.
    :param data: the parts that a file is read from.
    :param width: the parts that a file is stored as.
    """
    reads, writes = list(general), list(general)
    if journal_failure:
        writes.append(f"nothing can be changed until a restart: {journal_failure}")
    silent = [(node, state) for node, state in states if state not in {"up", "full", "readonly"}]
    if len(states) - len(silent) < data:
        reads.append(f"{data} nodes are needed to read a file, {len(states) - len(silent)} answer{_listed(silent)}")
    closed = [(node, state) for node, state in states if state != "up"]
    if len(states) - len(closed) < width:
        writes.append(f"{width} nodes that take parts are needed, {len(states) - len(closed)} are up{_listed(closed)}")
    return Readiness(reads, writes)


def _listed(states: Sequence[tuple[str, str]]) -> str:
    return "".join(f"{'; ' if not index else ', '}{node} is {state}" for index, (node, state) in enumerate(states))
