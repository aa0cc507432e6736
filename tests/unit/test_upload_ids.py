from __future__ import annotations

import os

from splitd.model.uploads import RANDOM_BYTES, upload_id
from storaged.parts.format import PartId, parse_part_id


def test_an_id_of_an_upload_names_parts() -> None:
    upload = upload_id(1_790_000_000_000, os.urandom(RANDOM_BYTES))
    assert parse_part_id(f"{upload}.5") == PartId(upload, 5)


def test_ids_with_the_same_first_byte_rise_with_time() -> None:
    ids = [upload_id(time_ms, b"\x7f" + os.urandom(RANDOM_BYTES - 1)) for time_ms in range(10**12, 10**12 + 1000)]
    assert ids == sorted(ids)


def test_no_two_are_the_same() -> None:
    assert len({upload_id(10**12, os.urandom(RANDOM_BYTES)) for _ in range(1000)}) == 1000
