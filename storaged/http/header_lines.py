"""Headers of answers as lines, which a value can never end before its time.  Pure."""

from __future__ import annotations

from functools import lru_cache


def header_line(begin: bytes, value: str | bytes) -> bytes:
    """Return the line of a header; a line end in the value becomes a space.

    :param begin: the beginning of the line, as `header_name` returns it.
    """
    data = value if isinstance(value, bytes) else value.encode()
    if b"\n" in data or b"\r" in data:
        data = b" ".join(line.strip() for line in data.splitlines())
    return b"%b%b\r\n" % (begin, data)


@lru_cache(256)
def header_name(name: str | bytes) -> tuple[str, bytes]:
    """Return the name of a header in lower case, and the beginning of its line."""
    text = name if isinstance(name, str) else name.decode("ascii")
    return text.lower(), text.encode("ascii") + b": "


def encode_header(name: str | bytes, value: str | bytes) -> bytes:
    """Return the line of a header, as `IAnswer.setHeader` writes it."""
    return header_line(header_name(name)[1], value)
