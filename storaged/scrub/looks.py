"""Looks at the headers of parts, packed or not.  Everything here blocks."""

from __future__ import annotations

from collections.abc import Sequence

from storaged.disk.calls import read_error
from storaged.disk.folder import PartFolder
from storaged.packs.store import PackStore
from storaged.parts.checks import check_part_id
from storaged.parts.errors import PartMissing, StoragedError
from storaged.parts.values import PartLook


def look_all(parts: PartFolder, packs: PackStore, part_ids: Sequence[str]) -> list[PartLook | StoragedError]:
    """Look at parts; see `IPartChecks.look_all`."""
    return [_look(parts, packs, part_id) for part_id in part_ids]


def _look(parts: PartFolder, packs: PackStore, part_id: str) -> PartLook | StoragedError:
    try:
        part = check_part_id(part_id)
        try:
            return packs.look(part_id)
        except PartMissing:
            return parts.look(part)
    except StoragedError as problem:
        return problem
    except OSError as problem:
        return read_error(f"part {part_id}", problem)
