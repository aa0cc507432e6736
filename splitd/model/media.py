"""What a client said of a file's bytes, beside the bytes.  Pure."""

from __future__ import annotations

import msgspec


class Media(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The headers that came with a file and are answered with it, as the client sent them; empty for none.

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
        """The same in the form that a manifest has: the type alone where nothing else is given."""
        has_more = self.encoding or self.language or self.disposition or self.cache_control
        return self if has_more else self.type


NO_MEDIA = Media()
