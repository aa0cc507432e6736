"""A journal is made anew from a backup: what it has, where its parts are, and what is refused."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest

from splitd.catalog.compaction import fold
from splitd.catalog.effects import apply
from splitd.catalog.imaging import Restorer, frames
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.snapshot_records import records_of
from splitd.catalog.state import State
from splitd.errors import BackupDamaged, RecoveryRefused
from splitd.model import records as kinds
from splitd.model.branch import Branch
from splitd.model.manifest import Manifest
from splitd.model.records import Record
from splitd.model.segments import SegmentRef, pack_segments
from splitd.takeover.history import load_history
from splitd.takeover.recovery import NodeGone
from splitd.takeover.restoring import DROPPED, Restored, Restoring
from storaged.parts.format import PartId, stored_size
from storaged.parts.journals import Claim, CopyState, Run, Standing
from storaged.parts.values import PartInfo
from storaged.system.filesystem import OSFilesystem
from tests.contract.filesystems import PassingFilesystem
from tests.segments import segment
from tests.unit.test_backup import CLUSTER, GONE, KEPT, LATE, NODES, OLD, RECORDS, backed_up, write

DAY_MS = 86_400_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "data" / "journal", RECORDS)


@attrs.define
class Node:
    """A node that keeps an epoch and, perhaps, a copy of the journal."""

    id: str
    standing: Standing = attrs.field(factory=lambda: Standing(0, "", None, cluster=CLUSTER))
    away: bool = False
    parts: dict[str, int] = attrs.field(factory=dict)
    lists_left: int = -1

    def look(self) -> Standing:
        if self.away:
            raise NodeGone("away")
        return self.standing

    def claim(self, claim: Claim) -> Standing:
        self.look()
        assert claim.epoch > self.standing.epoch
        self.standing = Standing(claim.epoch, claim.front, None, cluster=self.standing.cluster)
        return self.standing

    def list_parts(self, after: str, limit: int) -> list[PartInfo]:
        self.look()
        assert self.standing.epoch, "an older front may still move parts"
        if self.lists_left == 0:
            raise NodeGone("away now")
        self.lists_left -= 1
        return [PartInfo(part, size, 1) for part, size in sorted(self.parts.items()) if part > after][: min(limit, 3)]

    def read(self, first: int) -> bytes:
        raise NotImplementedError

    def read_snapshot(self, offset: int) -> bytes:
        raise NotImplementedError


def restore(data: Path, backup: bytes, nodes: list[Node], filesystem: Any = None, **options: Any) -> Restored:
    restoring = Restoring(nodes, data, filesystem or OSFilesystem(), lambda: "f" * 16, 20_000)
    return restoring.run("file", [backup], **{"accept_loss": False, "hold_ms": DAY_MS, **options})


@pytest.fixture
def nodes() -> list[Node]:
    return [Node(name) for name in NODES]


def test_a_restored_journal_has_the_names_and_deletes_nothing(folder: Path, nodes: list[Node], tmp_path: Path) -> None:
    for node in nodes:
        node.standing = Standing(7, "e" * 16, None, cluster=CLUSTER)
    restored = restore(tmp_path / "new", backed_up(folder), nodes)
    assert (restored.epoch, restored.accepted, restored.records) == (8, 6, len(RECORDS))
    reader = JournalReader(OSFilesystem(), str(tmp_path / "new" / "journal"))
    state = fold(reader)
    assert reader.sequence == len(RECORDS) + 1  # so no number is used twice
    before = fold(JournalReader(OSFilesystem(), str(folder)))
    assert [path for path, _ in state.tree.entries()] == [path for path, _ in before.tree.entries()]
    assert [each.nodes for each in state.tree.files()] == [("g", *NODES[1:])] * 2
    assert (len(state.uploads), len(state.doomed), list(state.moves.records()), state.disks) == (0, 0, [], {})
    assert before.uploads
    assert len(before.doomed)
    assert len(list(state.locks)) == 1
    assert state.restored == kinds.JournalRestored(10_000, 20_000, 20_000 + DAY_MS)
    history = load_history(OSFilesystem(), str(tmp_path / "new" / "journal"))
    assert history is not None
    assert (history.runs(reader.sequence), history.claimed) == ((Run(8, 1, len(RECORDS)),), 8)


def test_files_of_segments_are_restored_and_unfinished_uploads_are_not(nodes: list[Node], tmp_path: Path) -> None:
    upload, other = "8" * 32, "9" * 32
    made: list[Record] = [kinds.ContinuedUploadBegun(each, "/s", 1) for each in (upload, other)]
    made += [kinds.SegmentCommitted(1, segment(f"{n:032x}", each)) for n, each in enumerate((upload, other), 5)]
    packed = pack_segments([SegmentRef(f"{5:032x}", 10, 1)])
    file = Manifest(upload, 10, 6000, 6, 0, 4, (), "", packed)
    folder = write(tmp_path / "old", [*RECORDS, *made, kinds.FileCommitted("/s", file)])
    restore(tmp_path / "new", backed_up(folder), nodes)
    state = fold(JournalReader(OSFilesystem(), str(tmp_path / "new" / "journal")))
    assert state.find("/s") == file
    assert state.version(f"{5:032x}") == segment(f"{5:032x}", upload)
    assert (len(state.continued), state.version(f"{6:032x}"), len(state.doomed)) == (0, None, 0)


def test_each_kind_of_record_is_taken_over_or_dropped() -> None:
    taken = {
        kinds.JournalOpened, kinds.FileCommitted, kinds.CollectionMade, kinds.EntryCopied, kinds.PropertiesChanged,
        kinds.LockTaken, kinds.NodeLost, kinds.CollectionTouched, kinds.KeyCopied, kinds.VersionKept,
        kinds.DocumentPut,
    }  # fmt: skip
    in_no_snapshot = {
        kinds.EntryDeleted, kinds.EntryMoved, kinds.KeyDeleted, kinds.LockReleased, kinds.PartsReaped, kinds.PartMoved,
        kinds.PartCopyReaped, kinds.PartsLost, kinds.LayoutChanged, kinds.SnapshotEnded, kinds.ContinuedUploadAborted,
        kinds.DocumentDeleted, kinds.EntryBinned, kinds.EntryRestored,
    }  # fmt: skip
    assert set(get_args(Record)) == taken | in_no_snapshot | set(DROPPED)


def test_a_restoration_is_remembered_by_snapshots_and_images(folder: Path, nodes: list[Node], tmp_path: Path) -> None:
    restore(tmp_path / "new", backed_up(folder), nodes)
    state = fold(JournalReader(OSFilesystem(), str(tmp_path / "new" / "journal")))
    copied, imaged = State(), State()
    for record in records_of(state):
        apply(copied, record)
    restorer = Restorer(imaged)
    for frame in frames(state):
        restorer.take(frame)
    restorer.end()
    assert state.restored == copied.restored == imaged.restored
    assert state.restored is not None
    again = restore(tmp_path / "again", backed_up(tmp_path / "new" / "journal"), nodes, accept_loss=True)
    assert again.epoch == 4 + 1


def test_a_backup_is_not_taken_where_nodes_have_a_newer_copy(folder: Path, nodes: list[Node], tmp_path: Path) -> None:
    data = backed_up(folder)
    count = len(RECORDS)
    for copy, is_newer in [
        (CopyState(count + 2, runs=(Run(3, 1, count + 1),)), True),
        (CopyState(count, runs=(Run(4, 1, count - 1),)), True),
        (CopyState(count + 1, runs=(Run(3, 1, count),)), False),
        (CopyState(count + 2, runs=(Run(3, 1, count + 1),), damage="torn"), False),
    ]:
        nodes[2].standing = Standing(3, "e" * 16, None, cluster=CLUSTER, copy=copy)
        new = tmp_path / "new"
        if is_newer:
            with pytest.raises(RecoveryRefused, match=r"node c has a copy .* newer .*journal recover.*--accept-loss"):
                restore(new, data, nodes)
            assert not new.exists()
            assert nodes[0].standing.epoch == 0
        else:
            restore(new, data, nodes)
            for node in nodes:
                node.standing = Standing(0, "", None, cluster=CLUSTER)
            (new / "journal").rename(tmp_path / f"made{copy.damage}")
    nodes[2].standing = Standing(3, "", None, cluster=CLUSTER, copy=CopyState(count + 2, runs=(Run(3, 1, count + 1),)))
    assert restore(tmp_path / "new", data, nodes, accept_loss=True).epoch == 4


def test_a_restoration_is_refused_before_anything_is_changed(folder: Path, nodes: list[Node], tmp_path: Path) -> None:
    data = backed_up(folder)

    def refused(reason: str, backup: bytes = data, error: type[Exception] = RecoveryRefused) -> None:
        with pytest.raises(error, match=reason):
            restore(tmp_path / "new", backup, nodes)
        assert not list((tmp_path / "new").glob("journal"))
        assert {node.standing.epoch for node in nodes} == {0}

    refused("the backup ends here", data[:-5], BackupDamaged)
    refused("this is no backup", b"nonsense\n", BackupDamaged)
    for node in nodes[:3]:
        node.away = True
    refused("3 of 6 nodes answer, and 4 are needed")
    nodes[0].away = False
    nodes[5].standing = Standing(0, "", None, cluster="e" * 32)
    refused(f"node f belongs to cluster {'e' * 32}, and the backup is of cluster {CLUSTER}")
    nodes[5].standing = Standing(0, "", None, cluster=CLUSTER)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "other").write_text("x")
    refused("is not empty: other is there")


def hold(nodes: list[Node], upload: str, *places: str, parity: int = 0, size: int = 10) -> None:
    """Let the nodes hold the parts of a version, by the parts' index; "" for none."""
    manifest = Manifest(upload, size, 4000, 6 - parity, parity, 4, ())
    for index, names in enumerate(places):
        for node in nodes:
            if node.id in names:
                node.parts[str(PartId(upload, index))] = stored_size(manifest.part_size(index), manifest.unit)


def restored_places(made: Path) -> dict[str, tuple[str, ...]]:
    state = fold(JournalReader(OSFilesystem(), str(made / "journal")))
    return {path: state.shown(entry).nodes for path, entry in state.tree.entries() if not isinstance(entry, Branch)}


MOVED = "5" * 32


def test_parts_that_have_moved_since_the_backup_are_found(tmp_path: Path) -> None:
    nodes = [Node(name) for name in "abcdefghij"]
    files: list[Record] = [
        kinds.FileCommitted("/moved", Manifest(MOVED, 10, 4000, 6, 0, 4, NODES)),
        kinds.FileCommitted("/chain", Manifest(GONE, 10, 4000, 6, 0, 4, NODES)),
        kinds.FileCommitted("/healed", Manifest(LATE, 10, 4000, 4, 2, 4, ("", "b", "c", "d", "e", ""))),
    ]
    folder = write(tmp_path / "old", [*RECORDS, *files])
    hold(nodes, KEPT, *"gbcdef")
    hold(nodes, MOVED, "ag", "h", "c", "", "e", "f")  # a copy on g is not deleted, d's part is nowhere
    hold(nodes, GONE, "g", "a", "b", "d", "e", "f")  # where part 0 was, there is part 1 now
    hold(nodes, LATE, "i", "b", "c", "d", "j", "a", parity=2)
    hold(nodes, "7" * 32, *"abcdef")  # newer than the backup
    nodes[9].parts[str(PartId(MOVED, 3))] = 7  # not as long as the part
    nodes[9].parts[str(PartId(MOVED, 9))] = 7  # no part of it
    restored = restore(tmp_path / "new", backed_up(folder), nodes)
    assert (restored.found.moved, restored.found.silent) == (1 + 3 + 3, ())
    assert restored_places(tmp_path / "new") == {
        "/photos/a": ("g", *"bcdef"),
        "/b": ("g", *"bcdef"),
        "/moved": tuple("ahcdef"),
        "/chain": tuple("gabdef"),
        "/healed": tuple("ibcdja"),
    }
    state = fold(JournalReader(OSFilesystem(), str(tmp_path / "new" / "journal")))
    assert len(state.doomed) == 0


def test_nodes_that_cannot_be_searched_are_named_and_the_others_are(folder: Path, tmp_path: Path) -> None:
    """Whichever page of whichever node is missing, no part that is found is noted wrong."""
    names = "abcdefgh"
    data = backed_up(folder)
    for silent in names:
        for left in range(4):
            nodes = [Node(name) for name in names]
            hold(nodes, KEPT, "g", "h", *"cdef")
            hold(nodes, "1" * 31 + "0", *"abcdef")  # so that there are several pages
            hold(nodes, "1" * 31 + "2", *"ghcdef")
            nodes[names.index(silent)].lists_left = left
            new = tmp_path / f"{silent}{left}"
            restored = restore(new, data, nodes)
            assert restored.found.silent in {(), (silent,)}
            places = restored_places(new)["/b"]
            assert places in {("g", "h", *"cdef"), ("g", *"bcdef")}
            assert places[1] == "h" or restored.found.silent == ("h",)


class Circling(Node):
    """Lists the same part again and again."""

    def list_parts(self, after: str, limit: int) -> list[PartInfo]:  # noqa: ARG002 - the interface has them
        return [PartInfo(str(PartId(OLD, 0)), 1, 1)]


def test_a_node_that_lists_in_circles_is_left(folder: Path, nodes: list[Node], tmp_path: Path) -> None:
    nodes[1] = Circling("b")
    assert restore(tmp_path / "new", backed_up(folder), nodes).found.silent == ("b",)


class Failing(PassingFilesystem):
    """Fails at one of its calls, and at all that follow, as if the power was cut there."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.EIO, "no power")

    def open(self, path: str, mode: str) -> Any:
        self._count()
        return super().open(path, mode)

    def rename(self, source: str, target: str) -> None:
        self._count()
        super().rename(source, target)

    def sync_folder(self, path: str) -> None:
        self._count()
        super().sync_folder(path)

    def make_folder(self, path: str) -> None:
        self._count()
        super().make_folder(path)


def test_a_restoration_that_ends_at_any_step_can_be_repeated(folder: Path, nodes: list[Node], tmp_path: Path) -> None:
    data, new = backed_up(folder), tmp_path / "new"
    for calls in range(100):
        try:
            restore(new, data, nodes, Failing(calls))
            break
        except OSError:
            assert list(new.glob("journal")) == [] or calls > 6  # the last sync is that of the finished folder
            for path in new.glob("journal"):
                path.rename(tmp_path / f"durable-or-not{calls}")
            (new / "journal.restoring").mkdir(parents=True, exist_ok=True)  # as a power cut leaves it
            (new / "journal.restoring" / "half").write_text("x")
    assert 5 < calls < 20
    assert fold(JournalReader(OSFilesystem(), str(new / "journal"))).files == 2
    assert not (new / "journal.restoring").exists()
