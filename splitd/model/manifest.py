"""The manifest: everything needed to read one version of a file.  Pure."""

from __future__ import annotations

from collections.abc import Set as SetOf

import msgspec

from splitd.model.media import Media
from splitd.model.segments import Segments
from splitd.model.striping import Layout, part_size
from storaged.parts.format import PartId, stored_size


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One version of a file.  It never changes; a new version is a new manifest.

    :param upload: the id of the upload that made it, 32 hexadecimal digits; its parts are named after it.
    :param size: the bytes of the file.
    :param created_ms: when it was committed, milliseconds since 1970.
    :param data: parts that hold the file's bytes.
    :param parity: parts that hold redundancy.
    :param unit: bytes of one column in a full stripe.
    :param nodes: the id of the node that holds each part, by the part's index; "" for a part that is stored nowhere.
        An empty file has none.
    :param said: the headers that the client sent with it, as `Media.compact` returns them.  It is one field, because
        each further one would take memory in every file.  In JSON it is called `content_type`: once it was only that.
        In a segment it is the note that the front door wants kept beside it.
    :param packed_segments: the packed form of `segments`; empty for a file without.  In JSON it is called `segments`,
        and is base64.
    :param segment_of: if it is a segment, the id of the upload of its file, which may still be under way; else empty.

    A file may have *segments*: uploads of their own, with layouts, nodes and parts of their own, whose bytes make the
    file one after the other.  Then `nodes` is empty, as the file has no parts of its own.
    """

    upload: str
    size: int
    created_ms: int
    data: int
    parity: int
    unit: int
    nodes: tuple[str, ...]
    said: str | Media = msgspec.field(default="", name="content_type")
    packed_segments: bytes = msgspec.field(default=b"", name="segments")
    segment_of: str = ""

    @property
    def segments(self) -> Segments:
        """Its segments, in the order of the file's bytes; none for most files."""
        return Segments(self.packed_segments)

    @property
    def title(self) -> str:
        """What messages call it: its upload, and if it is a segment that of its file."""
        return f"upload {self.upload}" + (f", a segment of file {self.segment_of}" if self.segment_of else "")

    @property
    def content_type(self) -> str:
        """The `Content-Type` that the client sent; empty if it sent none."""
        return self.said if isinstance(self.said, str) else self.said.type

    @property
    def media(self) -> Media:
        """The headers that the client sent with the file."""
        return Media(self.said) if isinstance(self.said, str) else self.said

    @property
    def layout(self) -> Layout:
        """The layout of its parts."""
        return Layout(self.data, self.parity, self.unit)

    @property
    def etag(self) -> str:
        """Its strong entity tag, quotes included (RFC 9110 section 8.8.3): no two versions with different bytes share
        one.  It is S3's own, where S3 gave one.
        """
        said = self.said
        return f'"{self.upload}"' if isinstance(said, str) or not said.etag else f'"{said.etag}"'

    @property
    def missing(self) -> list[int]:
        """The indexes of the parts that are stored nowhere."""
        return [index for index, node in enumerate(self.nodes) if not node] if "" in self.nodes else []

    @property
    def spare(self) -> int:
        """How many more parts may be lost before the file cannot be read; negative if it cannot be read now."""
        return len(self.nodes) - len(self.missing) - self.data

    def spare_without(self, away: SetOf[str]) -> int:
        """Return how many parts may be lost if those on some nodes do not count; see `spare`."""
        return self.spare - sum(node in away for node in self.nodes)

    def part(self, index: int) -> PartId:
        """Return the id of one of its parts."""
        return PartId(self.upload, index)

    def part_size(self, index: int) -> int:
        """Return the payload bytes of one of its parts."""
        return part_size(self.layout, self.size, index)

    def holdings(self) -> list[tuple[str, str]]:
        """Return (node, part id) of each of its parts that is stored."""
        return [(node, str(self.part(index))) for index, node in enumerate(self.nodes) if node]


Outline = tuple[str, int, int, str | Media]
"""What lists of keys show of a file: `upload`, `size`, `created_ms` and `said` of its manifest."""


def largest_part(layout: Layout, size: int) -> int:
    """Return the stored bytes of the largest part of a file of `size` bytes."""
    return stored_size(part_size(layout, size, 0), layout.unit)
