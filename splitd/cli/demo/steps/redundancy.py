"""The steps about parity: a collection asks for it, two disks or servers fail, and all is healed."""

from __future__ import annotations

import os
import time
from hashlib import sha256

from splitd.cli.demo.disks import HEALED_S, NodeDisk, count_whole, flip_byte, index_of, size_of
from splitd.cli.demo.files import InterruptedStream
from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.demo.waiting import wait_until
from splitd.cli.server import read_pieces
from splitd.cli.tree import RemoteTree
from splitd.model.striping import Layout
from storaged.parts.format import HEADER_SIZE
from storaged.system.sizes import format_size

SAFE = "safe"
_WANTED = Layout(6, 2, 1)
_COPY = f"{SAFE}/random.bin"
_NEW = f"{SAFE}/new.bin"
_FLIPPED = 10  # the byte of a part's payload
_HALF = 24 * 2**20


def layout_of(scene: Scene) -> Layout:
    """Return the layout of the files in the collection `SAFE`, which has at least two parts of parity."""
    return scene.layout if scene.layout.parity >= 2 else _WANTED


def _ask_for_parity(scene: Scene, report: Report) -> None:
    layout = layout_of(scene)
    while (count := len(scene.own.disks())) < layout.width:
        report.command(f"splitctl grow --dir {scene.own.folder}   # an {count + 1}th storage server")
        scene.own.grow()
    RemoteTree(scene.files.front).make(scene.path(SAFE))
    report.command(f"curl -X MKCOL {scene.link(SAFE)}")
    report.command(f"splitctl layout {scene.path(SAFE)} {layout}")
    query = {"path": scene.path(SAFE), "layout": str(layout)}
    found = scene.own.operators.document("/layout", query, method="PUT")
    report.equal("new files in the collection are stored with parity", str(layout), found["layout"])
    report.command(f"curl -T random.bin {scene.link(_COPY)}")
    with scene.sample.path.open("rb") as stream:
        stored = scene.files.put(scene.path(_COPY), stream, scene.sample.size)
    scene.versions[_COPY] = stored.upload
    parts = _parts(scene, stored.upload)
    report.table(
        ["node", "part", "bytes on disk"],
        [(disk.node_id, "data" if index < layout.data else "parity", size) for index, disk, size in parts],
    )
    report.equal(
        f"it has {layout.width} parts, each on a node of its own",
        list(range(layout.width)),
        [each[0] for each in parts],
    )


def _parts(scene: Scene, upload: str) -> list[tuple[int, NodeDisk, int]]:
    """Return the index, the node and the size of each part of a version, in the order of the indexes."""
    found = [(index_of(part), disk, size_of(part)) for disk in scene.own.disks() for part in disk.parts(upload)]
    return sorted(found, key=lambda each: each[0])


def _flip(scene: Scene, report: Report) -> None:
    layout, upload = layout_of(scene), scene.versions[_COPY]
    victims = [part for disk in scene.own.disks() for part in disk.parts(upload) if index_of(part) < 2]
    report.say(f"A byte of {' and of '.join(part.name for part in victims)} is flipped, in the first stripe.")
    for part in victims:
        flip_byte(part, HEADER_SIZE + _FLIPPED)
    report.command(f"curl -s {scene.link(_COPY)} | sha256sum")
    found = scene.files.digest(scene.path(_COPY))
    report.equal("the client got the whole file, every byte of it right", scene.sample.sha256, found)
    begun = time.monotonic()
    wait_until(
        lambda: count_whole(scene.own.disks(), upload) == layout.width, "all parts of the file right again", HEALED_S
    )
    report.measure("repaired after", time.monotonic() - begun, "s")
    report.equal(
        f"all {layout.width} parts are right again on the disks", layout.width, count_whole(scene.own.disks(), upload)
    )


def _kill_two(scene: Scene, report: Report, nodes: list[str], when: str) -> dict[str, int]:
    killed = {node: scene.own.kill(node) for node in nodes}
    report.command(f"kill -9 {' '.join(map(str, killed.values()))}   # storage servers {' and '.join(nodes)}, {when}")
    return killed


def _recover(scene: Scene, killed: dict[str, int]) -> None:
    for node, pid in killed.items():
        scene.own.wait_recovered(node, pid)


def _kill_two_reading(scene: Scene, report: Report) -> None:
    sample, path = scene.sample, scene.path(_COPY)
    victims = [disk.node_id for index, disk, _ in _parts(scene, scene.versions[_COPY]) if index in {0, 1}]
    report.command(f"curl -s {scene.link(_COPY)} | sha256sum")
    with scene.files.front.ask("GET", path) as answer:
        digest = sha256(answer.read(1))
        killed = _kill_two(scene, report, victims, "which send the file")
        begun = time.monotonic()
        for piece in read_pieces(answer, f"GET {path}"):
            digest.update(piece)
    report.measure("the rest took", time.monotonic() - begun, "s")
    report.equal("the client got the whole file, every byte of it right", sample.sha256, digest.hexdigest())
    _recover(scene, killed)
    report.equal("and again, once they are back", sample.sha256, scene.files.digest(path))


def _kill_two_writing(scene: Scene, report: Report) -> None:
    layout, path, data = layout_of(scene), scene.path(_NEW), os.urandom(2 * _HALF)
    killed: dict[str, int] = {}

    def writing() -> list[str]:
        disks = [disk.node_id for disk in scene.own.disks() if any(size_of(part) for part in disk.half_written())]
        return disks if len(disks) == layout.width else []

    def kill() -> None:
        victims = wait_until(writing, "the first bytes on the disks of the storage servers")[:2]
        killed.update(_kill_two(scene, report, victims, "half-way"))

    report.command(f"curl -T new.bin {scene.link(_NEW)}")
    stored = scene.files.put(path, InterruptedStream(data, _HALF, kill), len(data))
    report.equal(f"the client got 201 for its {format_size(len(data))}", 201, stored.status)
    report.equal("every byte of it is there", sha256(data).hexdigest(), scene.files.digest(path))
    _recover(scene, killed)
    begun = time.monotonic()
    wait_until(lambda: len(_parts(scene, stored.upload)) == layout.width, "all parts of the file", HEALED_S)
    report.measure("healed after", time.monotonic() - begun, "s")
    report.equal("all parts are there", list(range(layout.width)), [each[0] for each in _parts(scene, stored.upload)])
    report.equal("every byte of the file is there", sha256(data).hexdigest(), scene.files.digest(path))


PARITY = Step(
    "A collection asks for parity",
    "Six parts of data and two of parity survive the loss of any two of their servers. What is stored in the "
    "collection from now on gets them; files that are there already stay as they are.",
    _ask_for_parity,
    "the processes",
)
FLIPPED = Step(
    "Two disks give back wrong bytes",
    "Bytes of two parts are wrong in the same stripe, as bad sectors would make them. Their checksums show it, and the "
    "front computes them from the other parts. Then it repairs the two.",
    _flip,
    "the folders of the storage servers",
)
KILL_TWO_READING = Step(
    "Two storage servers die during a download",
    "Two of those that send the file are killed at the same moment. The front computes their bytes from the other "
    "parts, in the middle of the file.",
    _kill_two_reading,
    "the processes",
)
KILL_TWO_WRITING = Step(
    "Two storage servers die during an upload",
    "Two servers are killed when half of a file is in. As many parts may be missing as min_parts allows (here both), "
    "and the client learns of nothing. The parts that were not stored are made when the servers are back.",
    _kill_two_writing,
    "the processes",
)


def _lose(scene: Scene, report: Report) -> None:
    layout = layout_of(scene)
    report.command(f"splitctl grow --dir {scene.own.folder}   # there must be a server more than the file has parts")
    scene.own.grow()
    lost = next(disk.node_id for index, disk, _ in _parts(scene, scene.versions[_COPY]) if index == 0)
    report.command(f"splitctl nodes lost {lost}")
    code, said = scene.own.operate("nodes", "lost", lost)
    report.quote(said.splitlines())
    report.equal("it is not done at once: the server answers", 1, code)
    report.command(f"splitctl nodes lost {lost} --yes")
    code, said = scene.own.operate("nodes", "lost", lost, "--yes")
    report.quote(said.splitlines())
    report.equal("it is lost", 0, code)
    begun = time.monotonic()

    def homes() -> set[str]:
        return {disk.node_id for _, disk, _ in _parts(scene, scene.versions[_COPY])} - {lost}

    wait_until(lambda: len(homes()) == layout.width, "the file's parts on other servers", HEALED_S)
    report.measure("healed after", time.monotonic() - begun, "s")
    report.equal(f"the file has {layout.width} parts on other servers", layout.width, len(homes()))
    report.equal("every byte of it is there", scene.sample.sha256, scene.files.digest(scene.path(_COPY)))


LOSE = Step(
    "A disk is lost for good",
    "An operator declares a storage server lost. The command tells first what that costs: files without parity could "
    "not be read any more. Parts of the others are rebuilt elsewhere.",
    _lose,
    "the processes",
)
