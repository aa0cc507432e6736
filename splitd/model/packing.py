"""Manifests as they are kept in memory: packed into a few bytes each.  Pure."""

from __future__ import annotations

import struct
from typing import NewType

import attrs
import msgspec

from splitd.model.manifest import Manifest, Outline
from splitd.model.media import Media
from splitd.model.segments import SIZE, Segments, check_packed

Packed = NewType("Packed", bytes)
"""A packed manifest.  Only the `Packing` that made it can unpack it.

==========  ====================================================================
bytes       contents, integers big-endian
==========  ====================================================================
0 to 15     the upload's id, so packed manifests are in the order of the uploads
16 to 23    the size of the file
24 to 29    `created_ms`
30 to 31    the number of the manifest's shape: what it has in common with others
from 32     a number for each node, of one byte, or of two in some shapes
then        in a segment, 16 bytes of `segment_of`; in a file with segments, 4 bytes
            with the number of the segments, and 28 bytes for each (`Segments`)
the rest    `said` in JSON, in shapes that have none
==========  ====================================================================
"""

KEY = 16
"""The first bytes of a packed manifest, which say to which upload it belongs; see `key_of`."""
_HEAD = struct.Struct(">16sQQ")
_FULL = 1 << 16
"""Node ids, and shapes, of which a packing must have less."""
_MOST_SAID = 4096
"""Shapes with a text of clients; the texts of further shapes are kept in each file."""
_LONGEST_SAID = 256
_MOST_PLACES = 4096
"""Tuples of nodes that are kept for the next manifest."""
_said = msgspec.json.Decoder(str | Media)

PLAIN, SEGMENT, SEGMENTED = range(3)
"""The kinds of manifests: of a file without segments, of a segment, and of a file with segments."""


@attrs.frozen
class Shape:
    """What many manifests have in common.

    :param said: None if each manifest has its own.
    :param parts: how many nodes a manifest names.
    :param wide: whether the number of a node has two bytes.
    :param kind: `PLAIN`, `SEGMENT` or `SEGMENTED`.
    """

    data: int
    parity: int
    unit: int
    said: str | Media | None
    parts: int
    wide: bool
    kind: int = PLAIN

    @property
    def end(self) -> int:
        """Where the nodes end."""
        return _HEAD.size + self.parts * (2 if self.wide else 1)


class Packing:
    """Packs manifests, and unpacks them.

    A manifest takes 80 bytes; as an object with an id, numbers and nodes of its own it takes 350 to 390.  The tables of
    nodes and shapes only grow: nodes are never removed, and the texts that clients can make up are bounded.

    :ivar nodes: the ids of nodes, by their numbers; the first one is "", for parts that are stored nowhere.
    :ivar shapes: the shapes, by their numbers.
    """

    def __init__(self) -> None:
        self.nodes: list[str] = [""]
        self.shapes: list[Shape] = []
        self._numbers = {"": 0}
        self._shapes: dict[tuple[object, ...], int] = {}
        self._ends: list[int] = []
        self._texts = 0
        self._places: tuple[dict[bytes, tuple[str, ...]], dict[bytes, tuple[str, ...]]] = {}, {}

    def pack(self, manifest: Manifest) -> Packed:
        """Pack a manifest.

        :raise ValueError: its upload is not 32 lower-case hexadecimal digits, a number is negative or too large, or
            there are 65,536 nodes or shapes.
        """
        upload, numbers = key_of(manifest.upload), self._numbers
        try:
            codes = bytes([numbers[node] for node in manifest.nodes])
            wide = False
        except (KeyError, ValueError):
            codes, wide = self._pack_nodes(manifest.nodes)
        layout = manifest.data, manifest.parity, manifest.unit
        rest, number = b"", None
        if manifest.segment_of or manifest.packed_segments:
            number, rest = self._shape_of_kind(manifest, wide=wide)
        else:
            number = self._shapes.get((*layout, manifest.said, len(manifest.nodes), wide, PLAIN))
        if number is None:
            number, rest = self._shape(manifest, wide=wide)
        if manifest.created_ms >> 48:
            raise ValueError(f"upload {manifest.upload}: {manifest.created_ms} ms is no time")
        try:
            return Packed(_HEAD.pack(upload, manifest.size, manifest.created_ms << 16 | number) + codes + rest)
        except struct.error as problem:
            raise ValueError(f"upload {manifest.upload}: {manifest.size} bytes are no size") from problem

    def _pack_nodes(self, nodes: tuple[str, ...]) -> tuple[bytes, bool]:
        for node in nodes:
            if node not in self._numbers:
                if len(self.nodes) == _FULL:
                    raise ValueError(f"node {node} is one too many")
                self._numbers[node] = len(self.nodes)
                self.nodes.append(node)
        numbers = [self._numbers[node] for node in nodes]
        if max(numbers, default=0) < 256:
            return bytes(numbers), False
        return struct.pack(f">{len(numbers)}H", *numbers), True

    def _shape(self, manifest: Manifest, *, wide: bool) -> tuple[int, bytes]:
        """Return the number of a shape for a manifest, and what the manifest has to keep beside it."""
        said: str | Media | None = manifest.said
        rest = b""
        if self._texts >= _MOST_SAID or _is_own(manifest.said):
            said, rest = None, msgspec.json.encode(manifest.said)
        return self._number(manifest, said, wide=wide), rest

    def _shape_of_kind(self, manifest: Manifest, *, wide: bool) -> tuple[int, bytes]:
        """Return the number of a shape for a segment or a file with segments, and what it has to keep beside it.

        Its text is hardly ever that of another one, so it never becomes a part of the shape.
        """
        if manifest.segment_of:
            kind, rest = SEGMENT, key_of(manifest.segment_of)
        else:
            check_packed(manifest.packed_segments)
            kind, rest = SEGMENTED, len(manifest.segments).to_bytes(4, "big") + manifest.packed_segments
        return self._number(manifest, None, wide=wide, kind=kind), rest + msgspec.json.encode(manifest.said)

    def _number(self, manifest: Manifest, said: str | Media | None, *, wide: bool, kind: int = PLAIN) -> int:
        layout = manifest.data, manifest.parity, manifest.unit
        number = self._shapes.get((*layout, said, len(manifest.nodes), wide, kind))
        return self.add_shape(Shape(*layout, said, len(manifest.nodes), wide, kind)) if number is None else number

    def add_shape(self, shape: Shape) -> int:
        """Add a shape, and return its number.

        :raise ValueError: there are 65,536 shapes already.
        """
        number = len(self.shapes)
        if number == _FULL:
            raise ValueError("there are too many layouts of files")
        self._shapes[attrs.astuple(shape, recurse=False)] = number
        self.shapes.append(shape)
        self._ends.append(shape.end)
        self._texts += shape.said is not None
        return number

    def unpack(self, packed: Packed) -> Manifest:
        """Return the manifest."""
        upload, size, rest = _HEAD.unpack_from(packed)
        shape = self.shapes[rest & 0xFFFF]
        end = self._ends[rest & 0xFFFF]
        nodes = self._places[shape.wide].get(packed[32:end])
        if nodes is None:
            nodes = self._unpack_nodes(packed[32:end], wide=shape.wide)
        said, more = shape.said, (b"", "")
        if shape.kind != PLAIN:
            end, more = _unpack_kind(packed, end, shape.kind)
        if said is None:
            said = _said.decode(packed[end:])
        return Manifest(upload.hex(), size, rest >> 16, shape.data, shape.parity, shape.unit, nodes, said, *more)

    def outline(self, packed: Packed) -> Outline:
        """Return what lists show of a manifest, in half of the time of `unpack`."""
        upload, size, rest = _HEAD.unpack_from(packed)
        number = rest & 0xFFFF
        shape = self.shapes[number]
        said, end = shape.said, self._ends[number]
        if said is None:
            if shape.kind != PLAIN:
                end, _ = _unpack_kind(packed, end, shape.kind)
            said = _said.decode(packed[end:])
        return upload.hex(), size, rest >> 16, said

    def _unpack_nodes(self, codes: bytes, *, wide: bool) -> tuple[str, ...]:
        numbers = struct.unpack(f">{len(codes) // 2}H", codes) if wide else codes
        nodes = tuple([self.nodes[number] for number in numbers])
        places = self._places[wide]
        if len(places) >= _MOST_PLACES:
            places.clear()
        places[codes] = nodes
        return nodes

    def parts_of(self, packed: Packed) -> int:
        """Return for how many parts the manifest names a node, or "" for none; 0 for an empty file, and for one with
        segments.
        """
        return self.shapes[packed[30] << 8 | packed[31]].parts

    def has_parts(self, packed: Packed) -> bool:
        """Whether a file has parts, of its own or of its segments, so that they must be kept for each of its names."""
        shape = self.shapes[packed[30] << 8 | packed[31]]
        return shape.parts > 0 or shape.kind == SEGMENTED

    def segments_of(self, packed: Packed) -> Segments | None:
        """Return the segments of a file; None if it has none."""
        number = packed[30] << 8 | packed[31]
        shape = self.shapes[number]
        return Segments(_unpack_kind(packed, self._ends[number], SEGMENTED)[1][0]) if shape.kind == SEGMENTED else None

    def restore(self, nodes: list[str], shapes: list[Shape]) -> None:
        """Take over the tables of a packing, in place of empty ones, to unpack what it has packed."""
        self.nodes = nodes
        self._numbers = {node: number for number, node in enumerate(nodes)}
        for shape in shapes:
            self.add_shape(shape)


def _unpack_kind(packed: Packed, end: int, kind: int) -> tuple[int, tuple[bytes, str]]:
    """Unpack what a segment or a file with segments keeps behind its nodes.

    :param end: where the nodes end.
    :return: where `said` begins; and `packed_segments` and `segment_of`.
    """
    if kind == SEGMENT:
        return end + 16, (b"", packed[end : end + 16].hex())
    start = end + 4
    stop = start + int.from_bytes(packed[end:start], "big") * SIZE
    return stop, (packed[start:stop], "")


def key_of(upload: str) -> bytes:
    """Return the 16 bytes of an upload's id, with which its packed manifest begins.

    :raise ValueError: it is not 32 lower-case hexadecimal digits.
    """
    key = bytes.fromhex(upload)
    if len(key) != 16 or key.hex() != upload:
        raise ValueError(f"{upload[:40]!r} is not the id of an upload")
    return key


def size_of(packed: Packed) -> int:
    """Return the bytes of the file."""
    return int.from_bytes(packed[16:24], "big")


def _is_own(said: str | Media) -> bool:
    """Return whether a text is too long, or too rarely the same, to be kept once for all files that have it."""
    if isinstance(said, str):
        return len(said) > _LONGEST_SAID
    return said.is_own or len(msgspec.json.encode(said)) > _LONGEST_SAID
