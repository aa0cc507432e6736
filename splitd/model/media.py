"""The headers that describe a file's bytes.  Pure."""

from __future__ import annotations

import msgspec


class Media(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The headers that a client sent with a file and gets back with it unchanged; empty for those it did not send.

    :param type: `Content-Type`.
    :param encoding: `Content-Encoding`: without it nobody can read bytes that are compressed.
    :param language: `Content-Language`.
    :param disposition: `Content-Disposition`: the name under which a browser saves the file.
    :param cache_control: `Cache-Control`.
    """

    type: str = ""
    encoding: str = ""
    language: str = ""
    disposition: str = ""
    cache_control: str = ""

    def compact(self) -> str | Media:
        """Return the form that a manifest stores: the type alone if no other header was sent."""
        has_more = self.encoding or self.language or self.disposition or self.cache_control
        return self if has_more else self.type


NO_MEDIA = Media()
