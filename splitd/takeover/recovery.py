"""Makes the folder of a journal anew from the copies on nodes.  Everything here blocks; it needs no reactor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import attrs

from splitd.catalog.compaction import fold
from splitd.catalog.journal.names import segment_name, snapshot_name
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.state import State
from splitd.errors import JournalDamaged, RecoveryRefused
from splitd.model.rosters import majority, needed
from splitd.takeover.folders import make_journal_folder, refuse_used_folder
from splitd.takeover.history import History, new_history, save_history
from storaged.parts.blocks import Lines, split_blocks
from storaged.parts.journals import Claim, CopyState, Roster, Standing, agreement
from storaged.system.interfaces import IFilesystem

_UNFINISHED = "journal.recovering"
_SEGMENT = 64 * 1024 * 1024


class NodeGone(Exception):
    """A node could not be asked, or refused; the message says why."""


class INode(Protocol):
    """A registered node, as a recovery asks it.  Each method raises `NodeGone` if there is no good answer."""

    @property
    def id(self) -> str:
        """The id of the node."""

    def look(self) -> Standing:
        """Return what the node has accepted, and its copy; nothing is changed."""

    def claim(self, claim: Claim) -> Standing:
        """Claim an epoch."""

    def read(self, first: int) -> bytes:
        """Read blocks of the copy, from the one with a record on; none at its end."""

    def read_snapshot(self, offset: int) -> bytes:
        """Read bytes of the copy's snapshot; none at its end."""


@attrs.frozen
class Plan:
    """Whose copy is taken.

    :param node: the id of the node.
    :param copy: its copy.
    :param seen: the holders that answer, of those whose copies count.
    :param roster: the roster that says so.
    :param doubt: why acknowledged records may be missing; empty if none are.
    """

    node: str
    copy: CopyState
    seen: Sequence[str]
    roster: Roster
    doubt: str


@attrs.frozen
class Recovered:
    """A journal that was made anew.

    :param epoch: the epoch that was claimed.
    :param front: the id of the new folder.
    :param answered: how many of the nodes accepted it.
    :param cluster: the cluster's id.
    :param state: what the journal results in.
    """

    plan: Plan
    epoch: int
    front: str
    answered: int
    cluster: str
    state: State


def plan_recovery(standings: Mapping[str, Standing], *, count: int, accept_loss: bool) -> Plan:
    """Decide whose copy is taken.

    :param standings: what the nodes that answer have accepted, and their copies.
    :param count: how many nodes are registered.
    :param accept_loss: whether to take the best copy there is, if the copies that count are not enough.
    :raise RecoveryRefused: too few nodes answer, or too few of those know of any front; they contradict each other, or
        they have no copy that may be taken.
    """
    if len(standings) < majority(count):
        raise RecoveryRefused(f"{len(standings)} of {count} nodes answer, and {majority(count)} are needed")
    clusters = sorted({standing.cluster for standing in standings.values() if standing.cluster})
    if len(clusters) > 1:
        raise RecoveryRefused(
            "the nodes belong to different clusters: "
            + "; ".join(f"{node} to {standing.cluster}" for node, standing in standings.items() if standing.cluster)
        )
    roster = max((each.roster for each in standings.values() if each.roster is not None), default=None)
    if roster is None:
        raise RecoveryRefused("no node knows of a copy of the journal: the front had `journal_copies: 0`")
    copies = {node: each.copy for node, each in standings.items() if each.copy is not None and each.copy.next > 1}
    usable = {node: copy for node, copy in copies.items() if not copy.damage}
    seen = sorted(holder for holder in roster.holders if holder in usable)
    doubt = _forgotten(standings, count) or _doubt(roster, seen, copies)
    if doubt and not accept_loss:
        raise RecoveryRefused(f"{doubt} (--accept-loss takes the best copy that can be read)")
    candidates = usable if doubt else {node: usable[node] for node in seen}
    if not candidates:
        raise RecoveryRefused(f"no copy of the journal can be read: {doubt}")
    # The last epoch goes first: what an older front appended beyond it was never acknowledged (Raft, section 5.4.1).
    node = max(candidates, key=lambda each: (candidates[each].last_epoch, candidates[each].next))
    return Plan(node, candidates[node], seen, roster, doubt)


def _forgotten(standings: Mapping[str, Standing], count: int) -> str:
    """Say that too few nodes know of any front; empty if enough do.

    A node whose disk was replaced has forgotten which epoch and which roster it has accepted.  A majority that it
    belongs to need not contain a node that knows the newest ones.
    """
    blank = sorted(node for node, standing in standings.items() if not standing.epoch)
    known = len(standings) - len(blank)
    if known >= majority(count):
        return ""
    return (
        f"{known} of {count} nodes know which holders count, and {majority(count)} are needed: {', '.join(blank)} "
        "answer, but are new, or their disks were replaced"
    )


def _doubt(roster: Roster, seen: Sequence[str], copies: Mapping[str, CopyState]) -> str:
    if not roster.holders:
        return "the front went on without any copy before it ended, so its last changes are on its own disk only"
    if len(seen) >= needed(roster):
        return ""
    damaged = [f"{node} is damaged: {copy.damage}" for node, copy in copies.items() if copy.damage]
    away = ", ".join(sorted(set(roster.holders) - set(seen)))
    holders = ", ".join(sorted(roster.holders))
    return (
        f"{needed(roster)} of the holders {holders} must be read, so that nothing acknowledged is missing, "
        f"and {len(seen)} can be (not {away})" + "".join(f"; {each}" for each in damaged)
    )


def ask_nodes(
    nodes: Sequence[INode], ask: Callable[[INode], Standing], what: str, say: Callable[[str], None]
) -> dict[str, Standing]:
    """Ask nodes, one after the other.

    :param what: what they are asked, for messages.
    :param say: is told which nodes do not answer, and why.
    :return: the answers, by the nodes' ids.
    """
    answers = {}
    for node in nodes:
        try:
            answers[node.id] = ask(node)
        except NodeGone as problem:
            say(f"node {node.id}: {what}: {problem}")
    return answers


class Recovery:
    """Recovers the journal of a cluster.

    :param nodes: the registered nodes that are not lost.
    :param data: the front's data folder on this machine.
    :param say: is told what is being done, a sentence at a time.
    """

    def __init__(
        self,
        nodes: Sequence[INode],
        data: Path,
        filesystem: IFilesystem,
        new_id: Callable[[], str],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._nodes = nodes
        self._data = data
        self._filesystem = filesystem
        self._new_id = new_id
        self._say = say

    def run(self, *, accept_loss: bool) -> Recovered:
        """Take over: claim the next epoch on the nodes, and make the journal's folder.

        Until the epoch is claimed, a refusal has changed nothing.  Afterwards the old front can change nothing any
        more, and a recovery that fails can be repeated.

        :raise RecoveryRefused: see `plan_recovery`; or the folder is not empty, or the copies contradict each other.
        """
        refuse_used_folder(self._data, _UNFINISHED)
        self._say(f"asking {len(self._nodes)} nodes")
        looks = ask_nodes(self._nodes, lambda node: node.look(), "look", self._say)
        plan = self._plan(looks, accept_loss=accept_loss)
        self._compare(plan, looks)
        last = max(standing.epoch for standing in looks.values())
        claim = Claim(last + 1, self._new_id(), self._new_id(), last, any_front=True, look=True)
        self._say(f"claiming epoch {claim.epoch}: from now on the old front can change nothing")
        claimed = ask_nodes(self._nodes, lambda node: node.claim(claim), "claim", self._say)
        # What an older front appended between the two questions is in the second answer, and nothing comes after it.
        plan = self._plan(claimed, accept_loss=accept_loss)
        state = make_journal_folder(
            self._data, _UNFINISHED, self._filesystem, lambda folder: self._make_folder(folder, plan, claim)
        )
        return Recovered(plan, claim.epoch, claim.front, len(claimed), state.cluster, state)

    def _plan(self, standings: Mapping[str, Standing], *, accept_loss: bool) -> Plan:
        return plan_recovery(standings, count=len(self._nodes), accept_loss=accept_loss)

    def _node(self, node_id: str) -> INode:
        return next(node for node in self._nodes if node.id == node_id)

    def _compare(self, plan: Plan, standings: Mapping[str, Standing]) -> None:
        """Compare the last record that other copies share with the chosen one.

        :raise RecoveryRefused: they differ, which no correct front can have caused.
        """
        for other in plan.seen:
            copy = standings[other].copy
            common = agreement(plan.copy.all_runs(), copy.all_runs()) if copy is not None and other != plan.node else 0
            if common < max(plan.copy.snapshot, copy.snapshot if copy is not None else 0, 1):
                continue
            lines = [self._line(node, common) for node in (plan.node, other)]
            if lines[0] != lines[1]:
                raise RecoveryRefused(
                    f"the copies contradict each other: record {common} on {plan.node} is not that on {other}"
                )

    def _line(self, node: str, number: int) -> bytes:
        try:
            for block in split_blocks(self._node(node).read(number)):
                if block.first <= number < block.next:
                    return block.lines.splitlines()[number - block.first]
        except (NodeGone, ValueError) as problem:
            raise RecoveryRefused(f"node {node}: {problem}") from problem
        raise RecoveryRefused(f"node {node} does not answer with record {number}, which it says it has")

    def _make_folder(self, folder: Path, plan: Plan, claim: Claim) -> State:
        self._filesystem.make_folder(str(folder))
        self._say(f"reading {plan.copy.next - 1} records from node {plan.node}")
        try:
            self._fetch_snapshot(folder, plan)
            self._fetch_records(folder, plan)
        except (NodeGone, ValueError) as problem:
            raise RecoveryRefused(f"node {plan.node}: {problem}; run it again") from problem
        save_history(self._filesystem, str(folder), _history(plan.copy, claim))
        return self._verify(folder, plan)

    def _fetch_snapshot(self, folder: Path, plan: Plan) -> None:
        if not plan.copy.snapshot:
            return
        file = self._filesystem.open(f"{folder}/{snapshot_name(plan.copy.snapshot)}", "create")
        try:
            size = 0
            while data := self._node(plan.node).read_snapshot(size):
                file.write([data])
                size += len(data)
            file.sync()
        finally:
            file.close()
        if size != plan.copy.snapshot_size:
            raise ValueError(f"its snapshot has {size} bytes, {plan.copy.snapshot_size} were expected")

    def _fetch_records(self, folder: Path, plan: Plan) -> None:
        upcoming = plan.copy.snapshot or 1
        file, room = None, 0
        try:
            for block in self._blocks(plan, upcoming):
                if file is None or room <= 0:
                    if file is not None:
                        file.sync()
                        file.close()
                    file, room = self._filesystem.open(f"{folder}/{segment_name(block.first)}", "create"), _SEGMENT
                file.write([block.lines])
                room -= len(block.lines)
            if file is not None:
                file.sync()
        finally:
            if file is not None:
                file.close()
        self._filesystem.sync_folder(str(folder))

    def _blocks(self, plan: Plan, upcoming: int) -> Iterator[Lines]:
        """Iterate over the blocks of a copy, the first one without the records that come too early."""
        while upcoming < plan.copy.next:
            data = self._node(plan.node).read(upcoming)
            found = split_blocks(data)
            if not found:
                raise ValueError(f"its copy ends before record {upcoming}, {plan.copy.next} was expected")
            for block in found:
                if not block.first <= upcoming < block.next:
                    raise ValueError(f"record {block.first} comes, expected {upcoming}")
                yield block.after(upcoming)
                upcoming = block.next

    def _verify(self, folder: Path, plan: Plan) -> State:
        reader = JournalReader(self._filesystem, str(folder))
        try:
            state = fold(reader)
        except JournalDamaged as problem:
            raise RecoveryRefused(f"the copy on node {plan.node} is damaged: {problem}") from problem
        if reader.torn is not None or reader.sequence != plan.copy.next:
            raise RecoveryRefused(
                f"the copy on node {plan.node} is damaged: record {reader.sequence} is bad: "
                f"{reader.torn.reason if reader.torn else 'it is missing'}"
            )
        return state


def _history(copy: CopyState, claim: Claim) -> History:
    """Return the epochs of a recovered journal.  The claimed epoch has no records: the front begins the next one."""
    epochs = [(run.epoch, run.first) for run in copy.all_runs()]
    merged = [each for index, each in enumerate(epochs) if index == 0 or epochs[index - 1][0] != each[0]]
    history = new_history(claim.front)
    return History(history.version, claim.front, (*merged, (claim.epoch, copy.next)), claim.epoch)
