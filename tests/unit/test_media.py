"""The headers that clients send with files, in manifests and in the journal."""

from __future__ import annotations

import sys

import msgspec
import pytest

from splitd.model.manifest import Manifest
from splitd.model.media import NO_MEDIA, Media
from splitd.model.records import FileCommitted, decode_line, encode_line
from splitd.model.sharing import Shared

PLAIN = Manifest("a" * 32, 3, 5, 6, 0, 4, tuple("abcdef"), "text/plain")
GZIP = Media("text/plain", encoding="gzip", cache_control="no-store")
S3 = Media("a/b", expires="0", etag="0" * 32, checksum="CRC32:AAAAAA==", metadata=(("a", "ä"),), tags=(("k", "v"),))


def test_a_type_alone_is_kept_as_ever() -> None:
    assert Media("text/plain").compact() == "text/plain"
    assert NO_MEDIA.compact() == ""
    assert b'"content_type":"text/plain"' in msgspec.json.encode(PLAIN)
    assert b"content_type" not in msgspec.json.encode(msgspec.structs.replace(PLAIN, said=""))
    assert (PLAIN.content_type, PLAIN.media) == ("text/plain", Media("text/plain"))


def test_a_file_of_which_nothing_more_is_said_takes_no_more_memory() -> None:
    fields = ("upload", "size", "created_ms", "data", "parity", "unit", "nodes", "content_type", "segments", "of")
    before = msgspec.defstruct("Before", fields, frozen=True, gc=False)
    assert sys.getsizeof(PLAIN) == sys.getsizeof(before(*range(len(fields))))


@pytest.mark.parametrize("media", [GZIP, Media(language="de"), Media("a/b", disposition="attachment"), S3, NO_MEDIA])
def test_the_journal_keeps_all_of_it(media: Media) -> None:
    manifest = msgspec.structs.replace(PLAIN, said=media.compact())
    record = decode_line(encode_line(1, 0, FileCommitted("/a", manifest))).record
    assert isinstance(record, FileCommitted)
    assert (record.manifest, record.manifest.media) == (manifest, media)


def test_equal_values_are_one_object_while_they_are_few() -> None:
    shared = Shared(limit=2)
    one, twin = (Media("text/plain", encoding="".join(["gz", "ip"])) for _ in range(2))
    assert shared.share(one) is shared.share(twin) is one
    for number in range(5):
        assert shared.share(f"text/{number}") == f"text/{number}"
        assert len(shared) <= 2
    assert shared.share(twin) is twin


def test_a_long_text_is_not_kept() -> None:
    shared = Shared()
    assert len(shared.share("x" * 5000)) == 5000
    assert len(shared) == 0
