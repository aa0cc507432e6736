"""The ids of uploads.  Pure."""

from __future__ import annotations

RANDOM_BYTES = 10


def upload_id(time_ms: int, random: bytes) -> str:
    """Make the id of an upload: 32 hexadecimal digits.

    The id is a random byte, six bytes of the time, and nine random bytes.  So ids rise with time in each of 256
    regions, and a sorted index inserts most new ids next to recent ones instead of at random places.

    :param time_ms: milliseconds since 1970.
    :param random: `RANDOM_BYTES` random bytes.
    """
    return (random[:1] + time_ms.to_bytes(6, "big") + random[1:RANDOM_BYTES]).hex()


def upload_time_ms(upload: str) -> int:
    """Return when an upload began, as its id says, milliseconds since 1970."""
    return int(upload[2:14], 16)
