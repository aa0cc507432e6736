"""How manifests, headers and properties stand in rows.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from splitd.errors import BadName
from splitd.model.branch import NO_PROPERTIES
from splitd.model.manifest import Manifest, Outline
from splitd.model.media import Media

MOST_INDEXED = 2600
"""The most bytes of a path that an index can have: an entry of a B-tree has at most 2,704."""

_said = msgspec.json.Decoder(str | Media)
_manifest = msgspec.msgpack.Decoder(Manifest)
_properties = msgspec.msgpack.Decoder(dict[str, str])


def encode_said(said: str | Media) -> bytes | None:
    """Return the column of headers; None for the empty text."""
    return msgspec.json.encode(said) if said != "" else None


def decode_said(column: bytes | None) -> str | Media:
    """Return the headers in a column."""
    return "" if column is None else _said.decode(column)


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the column of a whole manifest."""
    return msgspec.msgpack.encode(manifest)


def decode_manifest(column: bytes) -> Manifest:
    """Return the manifest in a column."""
    return _manifest.decode(column)


def outline_of(upload: bytes, size: int, column: bytes | None, created_ms: int, said: bytes | None) -> Outline:
    """Return what lists show of a file.

    :param upload: the columns of its name, as the next two.
    :param created_ms: the columns of its version, as the next one; they count if `column` is None.
    """
    if column is None:
        return upload.hex(), size, created_ms, decode_said(said)
    manifest = decode_manifest(column)
    return manifest.upload, manifest.size, manifest.created_ms, manifest.said


def encode_properties(properties: Mapping[str, str]) -> bytes | None:
    """Return the column of properties; None for none."""
    return msgspec.msgpack.encode(dict(properties)) if properties else None


def decode_properties(column: bytes | None) -> Mapping[str, str]:
    """Return the properties in a column."""
    return NO_PROPERTIES if column is None else _properties.decode(column)


def array_of(numbers: Sequence[int]) -> str:
    """Return numbers as the text of an array; in arrays of PostgreSQL all arrays would have to be of one length."""
    return "{" + ",".join(map(str, numbers)) + "}"


def array(values: Sequence[bytes | int | None]) -> str:
    """Return bytes or numbers as the text of an array, for which the driver takes ten times as long."""
    return "{" + ",".join([_item(value) for value in values]) + "}"


def array_of_texts(values: Sequence[str]) -> str:
    """Return texts, arrays among them, as the text of an array."""
    return "{" + ",".join([_quoted(value) for value in values]) + "}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _item(value: bytes | int | None) -> str:
    return f'"\\\\x{value.hex()}"' if isinstance(value, bytes) else "NULL" if value is None else str(value)


def name_of(column: bytes) -> str:
    """Return the text in a column of bytes."""
    return column.decode()


def refuse_unindexed(path: str) -> None:
    """Refuse what would put a path into an index that is too long for it.

    :raise BadName: it is.
    """
    size = len(path.encode(errors="replace"))
    if size > MOST_INDEXED:
        raise BadName(
            f"{path[:200]!r}: {size} bytes; a database takes locks and resumable uploads up to {MOST_INDEXED}"
        )


def is_text(text: str) -> bool:
    """Whether a text can stand in a row: one with a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
