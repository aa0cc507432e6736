"""What a bucket of S3 has besides its keys: properties of its collection, in splitd's own namespace.  Pure.

A property's element holds a text, or JSON that is ASCII only, so that it is well-formed XML whatever clients sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, unescape

import attrs
import msgspec

from splitd.model.keys import Key
from splitd.model.properties import OWN

PUBLIC_READ = "public-read"
"""The ACL by which everybody may read an object, or list the keys of a bucket.  The other one, private, is no text."""

ENFORCED, PREFERRED = "BucketOwnerEnforced", "BucketOwnerPreferred"
"""Whether ACLs do not count in a bucket, or do.  In both cases all that is in it is its owner's."""

OWNER, OWNERSHIP, ACL, CORS, TAGS, LIFECYCLE = (
    f"{{{OWN}}}s3-{name}" for name in ("owner", "ownership", "acl", "cors", "tags", "lifecycle")
)
"""The names of the properties."""


class CorsRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Pages of some origins may use a bucket by some methods.

    :param origins: origins, each with one `*` at most, which stands for any text.
    :param headers: the headers that a page may send; as for origins.
    :param exposed: the headers of an answer that a page may read.
    :param max_age_s: how long a browser may remember the answer to a preflight; None if it is not said.
    """

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age_s: int | None = None
    id: str = ""


class LifecycleRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Objects that are deleted, and uploads in parts that are aborted, when they are old.

    :param prefix: what the keys begin with.
    :param tags: tags that an object must have.
    :param larger_than: an object must have more bytes; None for no condition.
    :param smaller_than: an object must have fewer bytes; None for no condition.
    :param days: an object is deleted so many days after it was stored; None for never.
    :param date_ms: all objects are deleted from this time on, milliseconds since 1970; None for never.
    :param abort_days: an upload is aborted so many days after it was begun; None for never.
    :param has_filter: whether the client put the prefix into a filter, as it is told again.
    """

    id: str
    enabled: bool
    prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    larger_than: int | None = None
    smaller_than: int | None = None
    days: int | None = None
    date_ms: int | None = None
    abort_days: int | None = None
    has_filter: bool = True


@attrs.frozen
class BucketNotes:
    """All that is kept with a bucket.

    :param owner: the name of the user who made it; empty if it came by another front door.
    :param acl: `PUBLIC_READ`, or empty for private.
    :param tags: (key, value) of each tag.
    :param ownership: `ENFORCED`, `PREFERRED`, or empty if nobody has said.
    """

    owner: str = ""
    acl: str = ""
    cors: tuple[CorsRule, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    lifecycle: tuple[LifecycleRule, ...] = ()
    ownership: str = ""

    @property
    def takes_acls(self) -> bool:
        """Whether ACLs count: those of the bucket, and of what is in it."""
        return self.ownership != ENFORCED


_KINDS: Mapping[str, Any] = {
    CORS: tuple[CorsRule, ...],
    TAGS: tuple[tuple[str, str], ...],
    LIFECYCLE: tuple[LifecycleRule, ...],
}


def write_note(name: str, note: str | Sequence[Any]) -> str:
    """Return the element of a property.

    :param name: one of this module's names.
    """
    text = note if isinstance(note, str) else json.dumps(msgspec.to_builtins(note), separators=(",", ":"))
    local = name.rpartition("}")[2]
    return f'<{local} xmlns="{OWN}">{escape(text)}</{local}>'


def read_notes(properties: Mapping[str, str]) -> BucketNotes:
    """Read the properties of a bucket's collection."""
    if not properties:
        return BucketNotes()
    texts = {
        name: unescape(element.partition(">")[2].rpartition("</")[0])
        for name, element in properties.items()
        if name in _KINDS or name in {OWNER, OWNERSHIP, ACL}
    }
    notes = {name: msgspec.json.decode(texts[name], type=kind) for name, kind in _KINDS.items() if name in texts}
    return BucketNotes(
        texts.get(OWNER, ""),
        texts.get(ACL, ""),
        notes.get(CORS, ()),
        notes.get(TAGS, ()),
        notes.get(LIFECYCLE, ()),
        texts.get(OWNERSHIP, ""),
    )


DAY_MS = 24 * 3600 * 1000


def expires_ms(since_ms: int, days: int) -> int:
    """Return when something is so many days old, as S3 counts: at the next midnight of UTC.

    :param since_ms: milliseconds since 1970, as is what is returned.
    """
    return -(-(since_ms + days * DAY_MS) // DAY_MS) * DAY_MS


def fits(rule: LifecycleRule, key: Key, now_ms: int) -> bool:
    """Return whether a rule says that an object is to be deleted now.  Whether its key fits is not asked here."""
    if rule.larger_than is not None and key.size <= rule.larger_than:
        return False
    if rule.smaller_than is not None and key.size >= rule.smaller_than:
        return False
    if not set(rule.tags) <= set(() if isinstance(key.said, str) else key.said.tags):
        return False
    if rule.date_ms is not None and now_ms >= rule.date_ms:
        return True
    return rule.days is not None and expires_ms(key.created_ms, rule.days) <= now_ms


def bucket_of(path: str) -> str:
    """Return the path of the bucket that a path is, or lies in: a collection right below the root."""
    name = path[1:].partition("/")[0]
    return f"/{name}/"
