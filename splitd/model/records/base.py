"""What all records have in common.  Pure."""

from __future__ import annotations

import msgspec


class RecordBase(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", omit_defaults=True, gc=False
):
    """A record: a JSON object that says which kind it is of, and leaves out what is as usual."""
