"""The ids of uploads.  Pure."""

from __future__ import annotations

RANDOM_BYTES = 10


def upload_id(time_ms: int, random: bytes) -> str:
    """The id of an upload: 32 hexadecimal digits.

    A random byte, six bytes of the time, nine random bytes: within 256 regions ids rise with time, so that those who
    keep them in order put most new ones beside the last, and not anywhere.

    :param time_ms: milliseconds since 1970.
    :param random: `RANDOM_BYTES` random bytes.
    """
    return (random[:1] + time_ms.to_bytes(6, "big") + random[1:RANDOM_BYTES]).hex()


def upload_time_ms(upload: str) -> int:
    """When an upload began, milliseconds since 1970, as its id says."""
    return int(upload[2:14], 16)
