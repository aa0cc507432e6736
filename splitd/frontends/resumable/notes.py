"""What is kept with a resumable upload from its first request to its last: in the headers of its file to be.  Pure."""

from __future__ import annotations

import re

import msgspec

from splitd.model.media import Media

_NAME = "splitd-resumable"
_LENGTH = re.compile(r"length=([0-9]{1,15})\Z")

CONDITIONS = ("If-Match", "If-None-Match", "If-Unmodified-Since", "If")
"""The headers that must hold when the upload begins, and still when its file is made."""


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a resumable upload.

    :param length: the bytes of its file; None if the client has not said that at its beginning.
    :param user: who began it; empty for somebody who had not logged in.
    :param metadata: the `Upload-Metadata` of tus as it came.
    :param partial: whether it is a part of a concatenation, and becomes no file by itself.
    :param conditions: the values of `CONDITIONS` that came with the first request, by the headers' names.
    :param digest: the `Repr-Digest` that came with the first request.
    """

    length: int | None = None
    user: str = ""
    metadata: str = ""
    partial: bool = False
    conditions: dict[str, list[str]] = {}
    digest: list[str] = []


_decoder = msgspec.json.Decoder(Note)


def with_note(media: Media, note: Note) -> Media:
    """Return the headers of a file, with the note beside them."""
    return msgspec.structs.replace(media, metadata=((_NAME, msgspec.json.encode(note).decode()), *media.metadata))


def note_of(media: Media) -> Note | None:
    """Return the note; None if the upload is none of this front door's."""
    kept = dict(media.metadata).get(_NAME)
    return None if kept is None else _decoder.decode(kept)


def without_note(media: Media) -> Media:
    """Return the headers of the file alone."""
    return msgspec.structs.replace(media, metadata=tuple(each for each in media.metadata if each[0] != _NAME))


def say_length(length: int | None) -> str:
    """Return the note of a segment: a length that came late is kept with all segments from then on."""
    return "" if length is None else f"length={length}"


def read_length(note: str) -> int | None:
    """Return the length that the note of a segment says; None if it says none."""
    match = _LENGTH.match(note)
    return None if match is None else int(match[1])
