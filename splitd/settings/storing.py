"""The settings that say where files are stored, and how what is stored is kept."""

from __future__ import annotations

from typing import Annotated

import msgspec

from splitd.model.striping import Layout, parse_layout
from storaged.parts.format import SMALL_PART
from storaged.system.sizes import Size


class Bin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bin: where what is deleted in the console lies until it is restored or purged."""

    keep_days: Annotated[
        float,
        msgspec.Meta(
            description="After how many days it is purged; 0 for no bin: deletions cannot be undone. [default: 0]",
            ge=0,
            le=36_500,
        ),
    ] = 0.0


class Storing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where files are stored, and how what is stored is kept."""

    data: Annotated[str, msgspec.Meta(description="The folder where the journal is kept.", min_length=1)]
    registry: Annotated[str, msgspec.Meta(description="The YAML file that lists the nodes.", min_length=1)]
    cluster_key_file: Annotated[str, msgspec.Meta(description="The file that holds the cluster key.", min_length=1)]
    catalog: Annotated[
        str,
        msgspec.Meta(
            description="Where names are kept: in the journal, or in a PostgreSQL database that several fronts may "
            "share, as postgresql://USER:PASSWORD@HOST/DATABASE. [default: journal]",
            pattern="^(journal|postgres(ql)?://.+)$",
        ),
    ] = "journal"
    node_ca: Annotated[
        str,
        msgspec.Meta(
            description="The PEM file of the authorities that sign the certificates of nodes whose URLs are https. "
            "[default: those that the system trusts]"
        ),
    ] = ""
    layout: Annotated[
        str,
        msgspec.Meta(
            description="Into how many parts new files are cut: data parts, and parity parts that replace any of them "
            "that are lost, as 6+2. [default: 6+0]"
        ),
    ] = "6+0"
    min_parts: Annotated[
        int,
        msgspec.Meta(
            description="How many parts of a new file must be stored before the client is told so; the others are "
            "made later. Files of other layouts need the same number of spare parts. 0 for one more than data parts, "
            "if there is parity. [default: 0]",
            ge=0,
        ),
    ] = 0
    slow_part_s: Annotated[
        float,
        msgspec.Meta(
            description="An upload goes on without a part whose node takes nothing of it for so long while the others "
            "wait, if min_parts allows it. [default: 5]",
            gt=0,
        ),
    ] = 5.0
    heal_after_s: Annotated[
        float,
        msgspec.Meta(
            description="The parts of a node that cannot be used for so long are rebuilt on others. [default: 900]",
            ge=0,
        ),
    ] = 900.0
    heal_limit: Annotated[
        Size,
        msgspec.Meta(
            description="At most so many bytes of parts are rebuilt, or moved away from nodes that are draining, per "
            "second; 0 for no limit. [default: 32MiB]"
        ),
    ] = Size(32 * 1024 * 1024)
    unit: Annotated[
        Size, msgspec.Meta(description="Bytes of one column in one stripe, for new files. [default: 256KiB]")
    ] = Size(256 * 1024)
    small_part: Annotated[
        Size,
        msgspec.Meta(
            description="Parts of at most this many bytes are sent and stored many together; 0 for none. "
            "[default: 256KiB, which is the most]"
        ),
    ] = Size(SMALL_PART)
    cache: Annotated[
        Size,
        msgspec.Meta(
            description="Memory for small files that were stored or read recently, including all that the cache "
            "itself takes; 0 for none. [default: 32MiB]"
        ),
    ] = Size(32 * 1024 * 1024)
    journal_segment: Annotated[
        Size,
        msgspec.Meta(description="Size at which the journal begins a new file. [default: 64MiB]"),
    ] = Size(64 * 1024 * 1024)
    journal_copies: Annotated[
        int,
        msgspec.Meta(
            description="On how many nodes copies of the journal are kept; 0 for none: then the front's disk alone has "
            "the names. [default: 3]",
            ge=0,
            le=9,
        ),
    ] = 3
    journal_copies_required: Annotated[
        bool,
        msgspec.Meta(
            description="Whether nothing is changed while more than one of the journal's copies is missing. "
            "[default: false]"
        ),
    ] = False
    lease_s: Annotated[
        float,
        msgspec.Meta(
            description="For how long a front may change files after a majority of the nodes has confirmed it. It is "
            "used with journal_copies only. [default: 10]",
            ge=1,
        ),
    ] = 10.0
    connect_timeout_s: Annotated[
        float, msgspec.Meta(description="How long to wait for a connection to a node. [default: 1]", gt=0)
    ] = 1.0
    node_timeout_s: Annotated[
        float,
        msgspec.Meta(description="How long a node may take to respond. [default: 30]", gt=0),
    ] = 30.0
    silent_after_s: Annotated[
        float,
        msgspec.Meta(
            description="A part whose node sends nothing for this long is replaced by parity where there is any. "
            "[default: 1]",
            gt=0,
        ),
    ] = 1.0
    hedge_share: Annotated[
        float,
        msgspec.Meta(
            description="How many more requests a read may send to replace parts whose nodes are only slow, as a share "
            "of all; 0 for none. [default: 0.05]",
            ge=0,
            le=1,
        ),
    ] = 0.05
    sweep_interval_s: Annotated[
        float,
        msgspec.Meta(
            description="How often to look for parts on the nodes that belong to no file; 0 for never. "
            "[default: 604800, a week]",
            ge=0,
        ),
    ] = 604_800.0
    sweep_grace_s: Annotated[
        float,
        msgspec.Meta(
            description="A sweep leaves parts alone that are younger than this. [default: 86400, a day]", ge=600
        ),
    ] = 86_400.0
    sweep_share: Annotated[
        float,
        msgspec.Meta(
            description="If more than this share of a node's parts belongs to no file, a sweep touches none of them "
            "and raises an alarm. [default: 0.01]",
            ge=0,
            le=1,
        ),
    ] = 0.01
    reap_interval_s: Annotated[
        float,
        msgspec.Meta(
            description="How often to retry deletions of parts that are not needed any more. [default: 60]", gt=0
        ),
    ] = 60.0
    continued_uploads_days: Annotated[
        float,
        msgspec.Meta(
            description="After how many days an upload in segments (multipart, resumable) that nobody continues is "
            "aborted, and its parts deleted; 0 for never. [default: 7]",
            ge=0,
        ),
    ] = 7.0
    bin: Annotated[
        Bin, msgspec.Meta(description="Whether deletions in the console can be undone, and for how long.")
    ] = Bin()

    def cut(self) -> Layout:
        """Return how new files are cut.

        :raise ValueError: `layout` is not a layout.
        """
        try:
            return parse_layout(self.layout, int(self.unit))
        except ValueError as problem:
            raise ValueError(f"layout: {problem}") from problem

    def spare_parts(self) -> int:
        """Return how many parts more than data parts must be stored of a new file, as far as its layout has parity.

        :raise ValueError: `min_parts` does not fit to the layout.
        """
        layout = self.cut()
        if not self.min_parts:
            return 1
        if not layout.data <= self.min_parts <= layout.width:
            raise ValueError(
                f"min_parts: {self.min_parts} is not possible with layout {layout}, {layout.data} to {layout.width} are"
            )
        return self.min_parts - layout.data

    def __post_init__(self) -> None:
        self.spare_parts()
        if self.small_part > SMALL_PART:
            raise ValueError(f"small_part: {self.small_part} bytes, at most {SMALL_PART} can be")

    @property
    def keeps_journal(self) -> bool:
        """Whether names are kept in the journal."""
        return self.catalog == "journal"
