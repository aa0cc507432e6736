"""What clients say of a file besides its bytes.  Pure."""

from __future__ import annotations

import msgspec


class Media(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The headers that a client sent with a file and gets back with it unchanged; empty for those it did not send.

    :param type: `Content-Type`.
    :param encoding: `Content-Encoding`: without it nobody can read bytes that are compressed.
    :param language: `Content-Language`.
    :param disposition: `Content-Disposition`: the name under which a browser saves the file.
    :param cache_control: `Cache-Control`.
    :param expires: `Expires`, as it came: S3's clients send and read it.
    :param etag: the entity tag that S3 gave the file, without quotes; empty if it came by another front door.
    :param checksum: the checksum that S3's client sent, as "CRC32:BASE64"; with "-N" at the end if it is that of the
        checksums of N parts.
    :param metadata: (name, value) of each header that began with `x-amz-meta-`, without that.
    :param tags: (key, value) of each tag of S3.
    :param acl: "public-read" if everybody may read the file, as S3's client asked; else empty.
    """

    type: str = ""
    encoding: str = ""
    language: str = ""
    disposition: str = ""
    cache_control: str = ""
    expires: str = ""
    etag: str = ""
    checksum: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    acl: str = ""

    @property
    def is_own(self) -> bool:
        """Whether hardly another file has the same: it says something of this file's bytes."""
        return bool(self.etag or self.checksum or self.metadata)

    def compact(self) -> str | Media:
        """Return the form that a manifest stores: the type alone if no other header was sent."""
        has_more = self.encoding or self.language or self.disposition or self.cache_control or self.expires
        return self if has_more or self.is_own or self.tags or self.acl else self.type


NO_MEDIA = Media()
NO_BYTES = Media(etag="d41d8cd98f00b204e9800998ecf8427e")
"""What a key of 0 bytes that has no manifest says of itself: its entity tag is the MD5 of no bytes."""


class Labels(msgspec.Struct, frozen=True, gc=False):
    """What a copy says of itself in place of what its source says; None for all that it takes from there.

    The entity tag and the checksum are always those of the source, because they are about the bytes.

    :param headers: all but the tags and the ACL.
    :param tags: see `Media`.
    :param acl: see `Media`.
    """

    headers: Media | None = None
    tags: tuple[tuple[str, str], ...] | None = None
    acl: str | None = None

    def over(self, source: Media) -> Media:
        """Return what the copy of a source says of itself."""
        headers = source if self.headers is None else self.headers
        return msgspec.structs.replace(
            headers,
            etag=source.etag,
            checksum=source.checksum,
            tags=source.tags if self.tags is None else self.tags,
            acl=source.acl if self.acl is None else self.acl,
        )


SAME = Labels()
