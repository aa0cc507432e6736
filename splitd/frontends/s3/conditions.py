"""Reads the conditions of a request, which may name the entity tags of S3."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

import attrs

from splitd.frontends.http.conditions import condition_values
from splitd.frontends.http.times import parse_time
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.keys import unchanged_since
from splitd.frontends.s3.xml import malformed
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest
from storaged.http import IHeaders, IRequest

_WRITES = frozenset({b"if-match", b"if-none-match"})
_SIZE, _MODIFIED = "x-amz-if-match-size", "x-amz-if-match-last-modified-time"
_OF_OTHER_DOORS = re.compile(r"\A[0-9a-f]{32}-1\Z")


def read_condition(request: IRequest, prefix: str = "") -> Condition:
    """Read the conditions of a request for reading.

    :param prefix: what the names of the headers begin with.
    """
    if not any(map(request.has_header, _names(prefix))):
        return ALWAYS
    return Condition(
        _tags(request, f"{prefix}If-Match"),
        _tags(request, f"{prefix}If-None-Match"),
        parse_time(request.getHeader(f"{prefix}If-Unmodified-Since")),
        parse_time(request.getHeader(f"{prefix}If-Modified-Since")),
    )


@lru_cache
def _names(prefix: str) -> tuple[bytes, ...]:
    names = ("If-Match", "If-None-Match", "If-Unmodified-Since", "If-Modified-Since")
    return tuple(f"{prefix}{name}".lower().encode() for name in names)


def write_condition(headers: IHeaders) -> Condition:
    """Read the conditions of a request that stores an object.

    :raise S3Error: they contradict each other.
    """
    if not headers.has_any_header(_WRITES):
        return ALWAYS
    match, none_match = _tags(headers, "If-Match"), _tags(headers, "If-None-Match")
    if match is not None and none_match is not None:
        raise S3Error("InvalidRequest", "If-Match and If-None-Match cannot both be true")
    return Condition(match, none_match)


@attrs.frozen
class Fit:
    """What an object must be so that it is deleted; None for what does not matter.

    :param tags: its entity tag must be one of these.
    :param size: its bytes.
    :param modified: its time, in HTTP's format or as in XML.
    """

    tags: tuple[str, ...] | None = None
    size: str | None = None
    modified: str | None = None

    def check(self, manifest: Manifest) -> Condition:
        """Return the condition that an object is still the one that was judged.

        :raise S3Error: it does not fit.
        """
        if self.size is not None and self.size != str(manifest.size):
            raise _failed(_SIZE)
        if self.modified is not None and _seconds(self.modified) != manifest.created_ms // 1000:
            raise _failed(_MODIFIED)
        if self.tags is not None and Condition(self.tags).failed(manifest.etag):
            raise _failed("If-Match")
        return unchanged_since(manifest)


def delete_condition(headers: IHeaders) -> Fit:
    """Read the conditions of a request that deletes an object.

    :raise S3Error: the size or the time is empty.
    """
    size, modified = (headers.getHeader(name) for name in (_SIZE, _MODIFIED))
    for name, value in ((_SIZE, size), (_MODIFIED, modified)):
        if value == "":
            raise S3Error("InvalidArgument", f"the header {name} is empty", ArgumentName=name)
    return Fit(_tags(headers, "If-Match"), size, modified)


def read_fit(tag: str | None, size: str | None, modified: str | None) -> Fit:
    """Return what is said of an object to be deleted in a document; None for what is not said.

    :raise S3Error: the size or the time is empty.
    """
    if "" in {size, modified}:
        raise malformed()
    return Fit(None if tag is None else _read_tags([tag]), size, modified)


def _seconds(value: str) -> int | None:
    try:
        found = datetime.fromisoformat(value)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except ValueError:
        return parse_time(value)


def _failed(condition: str) -> S3Error:
    return S3Error(
        "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", Condition=condition
    )


def check_read(condition: Condition, manifest: Manifest) -> None:
    """Judge the conditions of a request for reading.

    :raise S3Error: one does not hold.
    """
    if condition is ALWAYS:
        return
    failed = condition.failed(manifest.etag, manifest.created_ms)
    if failed == "If-None-Match" or not (failed or condition.is_modified(manifest.created_ms)):
        raise S3Error("NotModified", "Not Modified")
    if failed:
        raise _failed(failed)


def check_source(condition: Condition, manifest: Manifest) -> None:
    """Judge the conditions for the source of a copy: all of them mean 412.

    :raise S3Error: one does not hold.
    """
    try:
        check_read(condition, manifest)
    except S3Error as problem:
        raise S3Error(
            "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"
        ) from problem


def _tags(headers: IHeaders, name: str) -> tuple[str, ...] | None:
    values = condition_values(headers, name)
    return _read_tags(values) if values else None


def _read_tags(values: list[str]) -> tuple[str, ...]:
    """Return entity tags with quotes, which clients may leave out.

    A file that came by another front door is shown with `-1` at the end of its tag; the store knows it without.
    """
    tags: list[str] = []
    for value in values:
        for piece in value.split(","):
            tag = piece.strip().removeprefix("W/").strip('"')
            if tag == "*":
                return ("*",)
            tags.append(f'"{tag}"')
            if _OF_OTHER_DOORS.match(tag):
                tags.append(f'"{tag[:-2]}"')
    return tuple(tags)
